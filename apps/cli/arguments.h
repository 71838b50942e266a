#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/cli/options.h"

namespace strata::cli {

/// Where the value of an option comes from; a later one wins.
enum class Source : std::uint8_t { standard, environment, command_line };

/// Looks up an environment variable; empty when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The environment of this process.
std::optional<std::string> process_environment(const std::string& name);

/// A parsed command line: every option of the table has its value, whether given or not. Reading an
/// option as another kind than the table says throws Error{runtime}. Immutable, owns its texts.
class Arguments {
 public:
  explicit Arguments(Command command);

  Command command() const { return command_; }
  /// What stood without an option, but for the model, which is found under OptionId::model.
  const std::vector<std::string>& positional() const { return positional_; }

  Source source(OptionId id) const { return value(id).source; }
  /// Given on the command line or by the environment.
  bool has(OptionId id) const { return source(id) != Source::standard; }

  bool flag(OptionId id) const;
  std::int64_t integer(OptionId id) const;  ///< 0 if not given and without a default
  double number(OptionId id) const;
  std::uint64_t bytes(OptionId id) const;                        ///< 0 if not given
  const std::string& text(OptionId id) const;                    ///< of a text, path or choice
  const std::vector<std::int64_t>& integers(OptionId id) const;  ///< of integers or ranges
  const std::vector<std::string>& texts(OptionId id) const;      ///< of texts, choices or paths

 private:
  friend class Parser;
  struct Value {
    Source source = Source::standard;
    bool flag = false;
    std::int64_t integer = 0;
    double number = 0;
    std::string text;
    std::vector<std::int64_t> integers;
    std::vector<std::string> texts;
  };
  const Value& value(OptionId id) const { return values_[static_cast<std::size_t>(id)]; }
  const Value& value(OptionId id, ValueKind kind) const;
  /// Reads `text` as the option's value. `subject` is what an error names: the spelling used, or
  /// the environment variable.
  void set(const OptionInfo& option, Source source, std::string_view subject,
           std::string_view text);
  /// The same for an option whose values add up.
  void add(const OptionInfo& option, Source source, std::string_view subject,
           std::string_view text);

  Command command_;
  std::vector<std::string> positional_;
  std::vector<Value> values_;
};

/// Reads the words after the program's name. An option may stand before or after other words; a
/// value follows as the next word or after "="; "--" ends the options; the last of a repeated
/// option wins, lists add up. -h anywhere makes a valid result at once. What the command line
/// leaves open is taken from the environment (an empty variable counts as not set), then from the
/// defaults. No words at all ask for help. Throws Error{usage} naming the option or variable.
Arguments parse(std::span<const std::string> words,
                const Environment& environment = process_environment);

/// Whether errors are to be printed as JSON, even where parse() fails.
bool wants_json_errors(std::span<const std::string> words,
                       const Environment& environment = process_environment);

}  // namespace strata::cli
