#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/commands/commands.h"
#include "apps/load.h"
#include "apps/prompt.h"
#include "runtime/engine/load_tokenizer.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

std::string asked_text(const cli::Arguments& arguments) {
  if (arguments.flag(OptionId::standard_input)) return read_standard_input();
  const std::optional<std::string> text = read_prompt_text(arguments);
  if (!text)
    throw Error(ErrorCode::usage, "tokenize", "there is no text", "-p TEXT, -f FILE or --stdin");
  return *text;
}

// The line formats of llama-tokenize.
std::string as_text(const std::vector<text::TokenId>& ids, const text::Tokenizer& tokenizer,
                    bool ids_only) {
  std::string out;
  if (ids_only) {
    out = "[";
    for (std::size_t i = 0; i < ids.size(); ++i)
      out += fmt::format("{}{}", i > 0 ? ", " : "", ids[i]);
    return out + "]\n";
  }
  for (text::TokenId id : ids) out += fmt::format("{:6} -> '{}'\n", id, tokenizer.token_bytes(id));
  return out;
}

}  // namespace

int tokenize_command(const cli::Arguments& arguments, Console&) {
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  const std::shared_ptr<const text::Tokenizer> tokenizer = require_tokenizer(*file);
  const std::vector<text::TokenId> ids = tokenizer->encode(
      asked_text(arguments),
      {!arguments.flag(OptionId::no_bos), !arguments.flag(OptionId::no_parse_special)});
  if (arguments.flag(OptionId::json)) {
    Json tokens = Json::array();
    for (text::TokenId id : ids) tokens.push_back(tokenizer->token_bytes(id));
    const Json object = {{"ids", ids}, {"tokens", tokens}, {"count", ids.size()}};
    write_result(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    return 0;
  }
  std::string out = as_text(ids, *tokenizer, arguments.flag(OptionId::ids_only));
  if (arguments.flag(OptionId::show_count))
    out += fmt::format("Total number of tokens: {}\n", ids.size());
  write_result(out);
  return 0;
}

}  // namespace strata::apps
