#include "apps/cli/options.h"

#include <algorithm>
#include <array>
#include <limits>

namespace strata::cli {
namespace {

constexpr double kMostFloat = static_cast<double>(std::numeric_limits<float>::max());
constexpr double kLeastFloat = -kMostFloat;

#define STRATA_COMMAND(id, positional, most_positional, summary) \
  constexpr std::uint32_t k_##id = 1u << static_cast<unsigned>(Command::id);
#include "apps/cli/commands.def"
#undef STRATA_COMMAND
#define bit(id) k_##id
constexpr std::uint32_t kEvery = ~0u;
constexpr std::uint32_t kLoadModel = bit(run) | bit(logits) | bit(perplexity);
constexpr std::uint32_t kTakePrompt = kLoadModel | bit(tokenize);
constexpr std::uint32_t kNeedModel = kTakePrompt | bit(inspect) | bit(plan);
constexpr std::uint32_t kPlaceModel = kLoadModel | bit(plan) | bit(bench);
constexpr std::uint32_t kOverridePlan = kLoadModel | bit(plan);

constexpr std::string_view kSyntheticShapes =
#define STRATA_SYNTHETIC_SHAPE(name, ...) name " "
#include "runtime/models/synthetic_shapes.def"
#undef STRATA_SYNTHETIC_SHAPE
    ;
constexpr std::string_view kWeightTypes =
    "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4";

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

// Splits the lists of a row; the preferred spelling is the last before the bar.
OptionInfo finish(OptionInfo row, std::string_view names, bool has_environment) {
  bool alias = false;
  for (std::string_view name : split(names)) {
    if (name == "|") {
      alias = true;
      continue;
    }
    if (!alias) row.long_name = name;
    row.names.push_back(name);
  }
  if (has_environment) row.environment = environment_name(row.long_name);
  return row;
}

std::int64_t bound(std::int64_t value) { return value; }
std::int64_t bound(int value) { return value; }
std::int64_t bound(double) { return 0; }  // of a number, which has its own pair

std::vector<OptionInfo> build() {
  std::vector<OptionInfo> rows;
#define STRATA_OPTION(id, kind, names, off_names, metavar, standard, least, most, choices, \
                      environment, commands, group, help)                                  \
  rows.push_back(finish({OptionId::id,                                                     \
                         ValueKind::kind,                                                  \
                         {},                                                               \
                         split(off_names),                                                 \
                         {},                                                               \
                         metavar,                                                          \
                         standard,                                                         \
                         bound(least),                                                     \
                         bound(most),                                                      \
                         static_cast<double>(least),                                       \
                         static_cast<double>(most),                                        \
                         split(choices),                                                   \
                         {},                                                               \
                         commands,                                                         \
                         OptionGroup::group,                                               \
                         help},                                                            \
                        names, environment));
#include "apps/cli/options.def"
#undef STRATA_OPTION
  return rows;
}
#undef bit

// Optimal string alignment distance: insertions, deletions, substitutions, swapped neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::span<const CommandInfo> commands() {
  static constexpr CommandInfo table[] = {
#define STRATA_COMMAND(id, positional, most_positional, summary) \
  {Command::id, #id, positional, most_positional, summary},
#include "apps/cli/commands.def"
#undef STRATA_COMMAND
  };
  return table;
}

std::span<const OptionInfo> options() {
  static const std::vector<OptionInfo> table = build();
  return table;
}

const CommandInfo& command_info(Command command) {
  return commands()[static_cast<std::size_t>(command)];
}

const OptionInfo& option_info(OptionId id) { return options()[static_cast<std::size_t>(id)]; }

std::optional<Command> command_named(std::string_view name) {
  for (const CommandInfo& info : commands())
    if (info.name == name) return info.command;
  return std::nullopt;
}

std::optional<FoundOption> option_named(Command command, std::string_view name) {
  std::string dashed(name);
  if (name.starts_with("--")) std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const OptionInfo& option : options()) {
    if (!option.taken_by(command)) continue;
    if (std::ranges::find(option.names, dashed) != option.names.end())
      return FoundOption{&option, false};
    if (std::ranges::find(option.off_names, dashed) != option.off_names.end())
      return FoundOption{&option, true};
  }
  return std::nullopt;
}

std::string environment_name(std::string_view long_name) {
  std::string name = "STRATA_";
  for (char c : long_name.substr(long_name.find_first_not_of('-')))
    name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  constexpr std::size_t kLongest = 64;  // longer than any name: not a slip of the finger
  std::string_view best;
  std::size_t least = word.size() < 4 ? 2 : word.size() / 3 + 1;  // first distance too far
  if (word.size() > kLongest) return best;
  for (std::string_view name : names) {
    const std::size_t d = distance(word, name);
    if (d >= least) continue;
    least = d;
    best = name;
  }
  return best;
}

}  // namespace strata::cli
