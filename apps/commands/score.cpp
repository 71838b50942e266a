// The commands that judge a model: logits, perplexity.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "apps/commands/commands.h"
#include "apps/load.h"
#include "apps/profile.h"
#include "apps/prompt.h"
#include "runtime/engine/load_tokenizer.h"
#include "runtime/engine/perplexity.h"

namespace strata::apps {
namespace {

using cli::OptionId;

// Refuses the model before the prompt is looked at: a wrong architecture is the first thing to say.
std::shared_ptr<const text::Tokenizer> tokenizer_for(const cli::Arguments& arguments,
                                                     const ModelFile& file) {
  return arguments.has(OptionId::ids) ? load_tokenizer(file) : require_tokenizer(file);
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void fail_write(const std::string& path) {
  throw Error(ErrorCode::io, path, fmt::format("cannot be written ({})", std::strerror(errno)));
}

}  // namespace

int logits_command(const cli::Arguments& arguments, Console& console) {
  const std::string& path = arguments.text(OptionId::output);
  if (path.empty()) throw Error(ErrorCode::usage, "logits", "no output file is given", "-o FILE");
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  Model::load(file);
  const auto tokenizer = tokenizer_for(arguments, *file);
  const std::vector<text::TokenId> ids = read_prompt(arguments, tokenizer.get());
  if (ids.empty()) throw Error(ErrorCode::usage, "prompt", "has no tokens", "give a longer text");
  const auto tokens = static_cast<std::int64_t>(ids.size());
  PlannedModel planned = plan_model(arguments, console, {tokens, tokens});
  if (tokens > planned.options.context)
    throw Error(
        ErrorCode::bad_request, "prompt",
        fmt::format("has {} tokens, but the context holds {}", tokens, planned.options.context),
        "raise -c or shorten the prompt");
  Profile profile(arguments);
  const std::unique_ptr<Runner> runner = load_runner(planned, console);
  profile.attach(*runner);
  const File out(std::fopen(path.c_str(), "wb"), &std::fclose);
  if (!out) fail_write(path);
  run_prompt(*runner, ids, 0, [&](std::int64_t, std::span<const float> row) {
    if (std::fwrite(row.data(), sizeof(float), row.size(), out.get()) != row.size())
      fail_write(path);
  });
  if (std::fflush(out.get()) != 0) fail_write(path);
  console.note(fmt::format("{}: float32 ({}, {})", path, tokens, planned.model->config().vocab));
  profile.report(console);
  return 0;
}

int perplexity_command(const cli::Arguments& arguments, Console& console) {
  constexpr std::int64_t kStandardContext = 512;
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  const std::int64_t trained = Model::load(file)->config().context;
  const auto tokenizer = tokenizer_for(arguments, *file);
  const std::vector<text::TokenId> ids = read_prompt(arguments, tokenizer.get());
  PlannedModel planned = plan_model(arguments, console, {std::min(kStandardContext, trained), 0});
  const std::int64_t context = planned.options.context;
  Profile profile(arguments);
  const std::unique_ptr<Runner> runner = load_runner(planned, console);
  profile.attach(*runner);
  const bool adds_bos = tokenizer != nullptr && tokenizer->vocabulary().add_bos();
  const text::TokenId bos = adds_bos ? *tokenizer->vocabulary().special().bos : -1;
  console.note(fmt::format("{} tokens in chunks of {}", ids.size(), context));
  const PerplexityResult result =
      measure_perplexity(*runner, ids, context, bos, arguments.integer(OptionId::chunks),
                         [&](std::int64_t chunk, double so_far) {
                           console.note(fmt::format("[{}]{:.4f}", chunk, so_far));
                         });
  write_result(
      fmt::format("Final estimate: PPL = {:.4f} +/- {:.5f}\n", result.perplexity, result.error));
  profile.report(console);
  return 0;
}

}  // namespace strata::apps
