#include "apps/prompt.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "apps/cli/values.h"
#include "apps/console.h"
#include "runtime/core/error.h"

namespace strata::apps {
namespace {

using cli::OptionId;

std::string read_all(std::FILE* file, const std::string& subject) {
  std::string text;
  char buffer[1 << 16];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), file)) > 0;)
    text.append(buffer, n);
  if (std::ferror(file) != 0)
    throw Error(ErrorCode::io, subject, fmt::format("cannot be read ({})", std::strerror(errno)));
  return text;
}

void refuse_two(const cli::Arguments& arguments) {
  std::string given;
  int count = 0;
  const bool tokenizes = arguments.command() == cli::Command::tokenize;
  for (OptionId id : {OptionId::prompt, OptionId::file, OptionId::ids, OptionId::standard_input}) {
    const bool taken = cli::option_info(id).taken_by(arguments.command());
    if (!taken || !arguments.has(id) || (tokenizes && id == OptionId::ids)) continue;
    given += fmt::format("{}{}", count++ > 0 ? " and " : "", cli::option_info(id).long_name);
  }
  if (count > 1) throw Error(ErrorCode::usage, given, "give the prompt twice", "keep one of them");
}

}  // namespace

std::string read_standard_input() { return read_all(stdin, "standard input"); }

std::string read_text_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file)
    throw Error(ErrorCode::io, path, fmt::format("cannot be opened ({})", std::strerror(errno)));
  return read_all(file.get(), path);
}

std::optional<std::string> read_prompt_text(const cli::Arguments& arguments) {
  refuse_two(arguments);
  auto escaped = [&](std::string text) {
    const bool taken = cli::option_info(OptionId::escape).taken_by(arguments.command());
    return taken && arguments.flag(OptionId::escape) ? cli::unescape(text) : text;
  };
  if (arguments.has(OptionId::prompt)) {
    const std::string& text = arguments.text(OptionId::prompt);
    return text == "-" ? read_standard_input() : escaped(text);
  }
  if (arguments.has(OptionId::file)) {
    const std::string& path = arguments.text(OptionId::file);
    return path == "-" ? read_standard_input() : escaped(read_text_file(path));
  }
  if (!is_terminal(STDIN_FILENO)) return read_standard_input();
  return std::nullopt;
}

std::vector<text::TokenId> read_prompt(const cli::Arguments& arguments,
                                       const text::Tokenizer* tokenizer) {
  std::vector<text::TokenId> ids;
  if (arguments.has(OptionId::ids)) {
    refuse_two(arguments);
    for (std::int64_t id : arguments.integers(OptionId::ids))
      ids.push_back(static_cast<text::TokenId>(id));
    if (ids.empty()) throw Error(ErrorCode::usage, "--ids", "is empty", "--ids 1,2,3");
    return ids;
  }
  const std::optional<std::string> text = read_prompt_text(arguments);
  if (!text)
    throw Error(ErrorCode::usage, std::string(cli::command_info(arguments.command()).name),
                "there is no prompt", "-p TEXT, -f FILE, --ids N,N,... or a pipe");
  return tokenizer->encode(*text);
}

}  // namespace strata::apps
