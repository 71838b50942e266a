#include "apps/cli/help.h"

#include <fmt/format.h>

#include <algorithm>

namespace strata::cli {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kTextColumn = 34;

std::string_view heading(OptionGroup group) {
  switch (group) {
    case OptionGroup::input:
      return "Input";
    case OptionGroup::generation:
      return "Generation";
    case OptionGroup::sampling:
      return "Sampling, in this order: bias, penalties, top-n-sigma, top-k, "
             "typical, top-p, min-p, temperature";
    case OptionGroup::machine:
      return "Model and machine";
    case OptionGroup::output:
      return "Output";
    case OptionGroup::general:
      return "General";
    case OptionGroup::llama:
      return "Accepted so that llama.cpp's command lines work";
  }
  return "";
}

// `text` broken at blanks, every line but the first indented to the text column.
std::string wrap(std::string_view text) {
  std::string result;
  std::size_t column = kTextColumn;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const bool first = column == kTextColumn;
    if (!first && column + 1 + end > kColumns) {
      result += '\n' + std::string(kTextColumn, ' ');
      column = kTextColumn;
    } else if (!first) {
      result += ' ';
      ++column;
    }
    result += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

// Choices that do not fit beside the names of their option stand in its description.
bool has_many_choices(const OptionInfo& option) {
  constexpr std::size_t kFew = 40;
  return fmt::format("{}", fmt::join(option.choices, "|")).size() > kFew;
}

std::string spellings(const OptionInfo& option) {
  std::string left = fmt::format("{}", fmt::join(option.names, ", "));
  if (!option.off_names.empty()) left += fmt::format(", {}", fmt::join(option.off_names, ", "));
  if (has_choices(option.kind))
    left += has_many_choices(option) ? std::string(" VALUE")
                                     : fmt::format(" {}", fmt::join(option.choices, "|"));
  else if (option.kind != ValueKind::flag)
    left += fmt::format(" {}", option.metavar);
  return left;
}

std::string description(const OptionInfo& option) {
  std::string text(option.help);
  if (has_many_choices(option)) text += fmt::format("; one of {}", fmt::join(option.choices, ", "));
  const bool plain_flag = option.kind == ValueKind::flag && option.off_names.empty();
  if (!option.standard.empty() && !plain_flag)
    text += fmt::format(" (default {})", option.standard);
  if (!option.environment.empty()) text += fmt::format(" [{}]", option.environment);
  return text;
}

std::string option_help(const OptionInfo& option) {
  std::string line = "  " + spellings(option);
  if (line.size() + 2 > kTextColumn)
    line += '\n' + std::string(kTextColumn, ' ');
  else
    line.resize(kTextColumn, ' ');
  return line + wrap(description(option)) + '\n';
}

}  // namespace

std::string general_help() {
  std::string text =
      "Strata runs large language models on CPUs and GPUs.\n\n"
      "usage: strata COMMAND [OPTIONS]\n\nCommands\n";
  for (const CommandInfo& info : commands())
    text += fmt::format("  {:<12}{}\n", info.name, info.summary);
  text +=
      "\nstrata COMMAND --help lists the options of a command.\n"
      "An option may also be set by its environment variable, STRATA_<NAME>; the command line "
      "wins.\n"
      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 bad or unsupported model, 4 does not fit,\n"
      "5 device missing, 6 network, 7 not allowed, 130 interrupted.\n";
  return text;
}

std::string command_help(Command command) {
  const CommandInfo& info = command_info(command);
  std::string text =
      fmt::format("strata {}: {}\n\nusage: strata {}{}{} [OPTIONS]\n", info.name, info.summary,
                  info.name, info.positional.empty() ? "" : " ", info.positional);
  for (int group = 0; group <= static_cast<int>(OptionGroup::llama); ++group) {
    std::string rows;
    for (const OptionInfo& option : options())
      if (option.taken_by(command) && option.group == static_cast<OptionGroup>(group))
        rows += option_help(option);
    if (!rows.empty())
      text += fmt::format("\n{}\n{}", heading(static_cast<OptionGroup>(group)), rows);
  }
  return text;
}

}  // namespace strata::cli
