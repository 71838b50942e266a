#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/values.h"
#include "runtime/core/error.h"

namespace strata::cli {
namespace {

[[noreturn]] void refuse(std::string_view subject, std::string detail, std::string hint = {}) {
  throw Error(ErrorCode::usage, std::string(subject), std::move(detail), std::move(hint));
}

bool looks_like_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

bool takes_numbers(const OptionInfo& option) {
  return option.kind == ValueKind::integer || option.kind == ValueKind::number ||
         option.kind == ValueKind::bytes || option.kind == ValueKind::integers ||
         option.kind == ValueKind::ranges;
}

// "-3", "-.5" or "-1,2": the value of a numeric option, not the next option.
bool looks_like_number(std::string_view word) {
  const std::size_t digit = word.find_first_not_of("-.[ ");
  return digit != std::string_view::npos && word[digit] >= '0' && word[digit] <= '9';
}

std::string names_of_commands() {
  std::vector<std::string_view> names;
  for (const CommandInfo& info : commands()) names.push_back(info.name);
  return fmt::format("the commands are {}", fmt::join(names, ", "));
}

Command read_command(std::string_view word) {
  if (word == "-h" || word == "--help" || word == "--usage") return Command::help;
  if (word == "--version") return Command::version;
  if (const auto command = command_named(word)) return *command;
  if (looks_like_option(word))
    refuse(word, "a command must come before the options",
           "strata run " + std::string(word) + " ...");
  std::vector<std::string_view> names;
  for (const CommandInfo& info : commands()) names.push_back(info.name);
  const std::string_view near = nearest(word, names);
  refuse(word, "unknown command",
         near.empty() ? names_of_commands() : fmt::format("did you mean {}?", near));
}

// Says what is wrong with an option that `command` does not have.
[[noreturn]] void refuse_unknown(Command command, std::string_view name) {
  std::vector<std::string_view> others;
  std::vector<std::string_view> names;
  for (const CommandInfo& info : commands())
    if (option_named(info.command, name)) others.push_back(info.name);
  for (const OptionInfo& option : options()) {
    if (!option.taken_by(command)) continue;
    names.insert(names.end(), option.names.begin(), option.names.end());
    names.insert(names.end(), option.off_names.begin(), option.off_names.end());
  }
  const std::string_view own = command_info(command).name;
  if (!others.empty())
    refuse(name, fmt::format("not an option of {}", own),
           fmt::format("{} {} it", fmt::join(others, ", "), others.size() > 1 ? "have" : "has"));
  const std::string_view near = nearest(name, names);
  refuse(name, fmt::format("unknown option of {}", own),
         near.empty() ? fmt::format("strata {} --help lists the options", own)
                      : fmt::format("did you mean {}?", near));
}

}  // namespace

/// Fills an Arguments from words; what parse() is made of.
class Parser {
 public:
  explicit Parser(Command command) : arguments_(command) {}

  // Returns early at a request for help.
  void read_words(std::span<const std::string> words) {
    bool options_ended = false;
    for (next_ = 0; next_ < words.size();) {
      const std::string& word = words[next_++];
      if (options_ended || !looks_like_option(word))
        read_positional(word);
      else if (word == "--")
        options_ended = true;
      else
        read_option(words, word);
      if (asks_for_help()) return;
    }
  }

  void read_environment(const Environment& environment) {
    for (const OptionInfo& option : options()) {
      if (option.environment.empty() || !option.taken_by(arguments_.command())) continue;
      if (arguments_.has(option.id)) continue;
      if (read_variable(option, environment, option.environment, false)) continue;
      for (std::string_view name : option.off_names)
        if (name.starts_with("--") &&
            read_variable(option, environment, environment_name(name), true))
          break;
    }
  }

  bool asks_for_help() const { return arguments_.flag(OptionId::help); }
  Arguments result() && { return std::move(arguments_); }

 private:
  void read_positional(const std::string& word) {
    const CommandInfo& info = command_info(arguments_.command());
    if (++positional_ > info.most_positional)
      refuse(word,
             fmt::format("{} takes {} word{} without an option, this is number {}", info.name,
                         info.most_positional, info.most_positional == 1 ? "" : "s", positional_),
             "put a text with blanks between quotes, and a prompt after -p");
    if (info.command == Command::help) read_command(word);  // throws for an unknown one
    if (info.positional != "[MODEL]") {
      arguments_.positional_.push_back(word);
      return;
    }
    refuse_second_model(word);
    model_positional_ = true;
    arguments_.set(option_info(OptionId::model), Source::command_line, "the model", word);
  }

  void read_option(std::span<const std::string> words, const std::string& word) {
    std::string_view name = word;
    std::optional<std::string_view> value;
    auto found = option_named(arguments_.command(), name);
    if (const std::size_t equals = word.find('='); !found && equals != std::string::npos) {
      name = name.substr(0, equals);
      value = std::string_view(word).substr(equals + 1);
      found = option_named(arguments_.command(), name);
    }
    if (!found) refuse_unknown(arguments_.command(), name);
    const OptionInfo& option = *found->option;
    if (option.kind == ValueKind::flag) {
      set_flag(option, Source::command_line, name, value.value_or("on"), found->off);
      return;
    }
    if (!value) value = next_value(words, option, name);
    if (option.id == OptionId::model && model_positional_) refuse_second_model(*value);
    arguments_.set(option, Source::command_line, name, *value);
  }

  std::string_view next_value(std::span<const std::string> words, const OptionInfo& option,
                              std::string_view name) {
    const std::string_view metavar = has_choices(option.kind) ? "VALUE" : option.metavar;
    if (next_ == words.size())
      refuse(name, "the value is missing", fmt::format("{} {}", name, metavar));
    const std::string_view word = words[next_++];
    if (takes_numbers(option) && looks_like_option(word) && !looks_like_number(word))
      refuse(name, fmt::format("the value is missing: {} follows", word),
             fmt::format("{} {}", name, metavar));
    return word;
  }

  // A model both with and without -m: one of the two would be ignored.
  void refuse_second_model(std::string_view word) const {
    if (arguments_.source(OptionId::model) != Source::command_line) return;
    refuse(word, fmt::format("the model is given already: {}", arguments_.text(OptionId::model)),
           "give it once, with or without -m; put a prompt after -p");
  }

  void set_flag(const OptionInfo& option, Source source, std::string_view subject,
                std::string_view text, bool off) {
    arguments_.set(option, source, subject, text);
    bool& flag = arguments_.values_[static_cast<std::size_t>(option.id)].flag;
    if (off) flag = !flag;
  }

  bool read_variable(const OptionInfo& option, const Environment& environment,
                     const std::string& name, bool off) {
    const auto text = environment(name);
    if (!text || text->empty()) return false;
    if (option.kind == ValueKind::flag)
      set_flag(option, Source::environment, name, *text, off);
    else
      arguments_.set(option, Source::environment, name, *text);
    return true;
  }

  Arguments arguments_;
  std::size_t next_ = 0;  // word to read
  std::size_t positional_ = 0;
  bool model_positional_ = false;
};

Arguments parse(std::span<const std::string> words, const Environment& environment) {
  if (words.empty()) return Arguments(Command::help);
  Parser parser(read_command(words.front()));
  parser.read_words(words.subspan(1));
  if (!parser.asks_for_help()) parser.read_environment(environment);
  return std::move(parser).result();
}

bool wants_json_errors(std::span<const std::string> words, const Environment& environment) {
  constexpr std::string_view kName = "--error-format";
  std::optional<std::string> value = environment(option_info(OptionId::error_format).environment);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == kName && i + 1 < words.size()) value = words[i + 1];
    if (words[i].starts_with("--error-format=")) value = words[i].substr(kName.size() + 1);
  }
  return value == "json";
}

}  // namespace strata::cli
