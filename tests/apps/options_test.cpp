#include "apps/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

#include "apps/cli/arguments.h"

namespace strata::cli {
namespace {

TEST(OptionTable, NamesAreUniqueInEachCommand) {
  for (const CommandInfo& info : commands()) {
    std::set<std::string_view> seen;
    for (const OptionInfo& option : options()) {
      if (!option.taken_by(info.command)) continue;
      for (const auto* names : {&option.names, &option.off_names})
        for (std::string_view name : *names)
          EXPECT_TRUE(seen.insert(name).second) << info.name << " has " << name << " twice";
    }
  }
}

TEST(OptionTable, EnvironmentNamesAreUniqueInEachCommand) {
  for (const CommandInfo& info : commands()) {
    std::set<std::string> seen;
    for (const OptionInfo& option : options()) {
      if (!option.taken_by(info.command) || option.environment.empty()) continue;
      EXPECT_TRUE(seen.insert(option.environment).second) << option.environment;
      for (std::string_view name : option.off_names)
        if (name.starts_with("--")) {
          EXPECT_TRUE(seen.insert(environment_name(name)).second) << name;
        }
    }
  }
}

TEST(OptionTable, RowsAreComplete) {
  for (const OptionInfo& option : options()) {
    SCOPED_TRACE(std::string(option.long_name));
    EXPECT_TRUE(option.long_name.starts_with("--"));
    EXPECT_FALSE(option.help.empty());
    EXPECT_NE(option.commands, 0u);
    EXPECT_EQ(&option_info(option.id), &option);
    EXPECT_EQ(has_choices(option.kind), !option.choices.empty());
    const bool shows_metavar = option.kind != ValueKind::flag && !has_choices(option.kind);
    EXPECT_EQ(shows_metavar, !option.metavar.empty());
    for (std::string_view name : option.names) EXPECT_TRUE(name.starts_with("-")) << name;
    if (!option.off_names.empty()) {
      EXPECT_EQ(option.kind, ValueKind::flag);
    }
  }
}

// The defaults are texts: making the arguments of a command reads them all, and checks the ranges.
TEST(OptionTable, DefaultsAreValid) {
  for (const CommandInfo& info : commands()) EXPECT_NO_THROW(Arguments{info.command}) << info.name;
}

TEST(OptionTable, EveryCommandHasHelpAndQuiet) {
  for (const CommandInfo& info : commands())
    for (const char* name : {"-h", "--help", "-q", "-v", "--error-format", "--log-colors"})
      EXPECT_TRUE(option_named(info.command, name)) << info.name << " " << name;
}

TEST(OptionTable, TheSameSpellingMayDifferBetweenCommands) {
  EXPECT_EQ(option_named(Command::run, "--ids")->option->id, OptionId::ids);
  EXPECT_EQ(option_named(Command::tokenize, "--ids")->option->id, OptionId::ids_only);
  EXPECT_FALSE(option_named(Command::plan, "--ids"));
}

TEST(OptionTable, BenchHasTheNamesOfLlamaBench) {
  std::istringstream names(
      "-m --model -p --n-prompt -n --n-gen -pg -d --n-depth -b --batch-size -ub --ubatch-size -ctk "
      "--cache-type-k -ctv --cache-type-v -t --threads -r --repetitions --delay -o --output -oe "
      "--output-err --no-warmup --progress -v -ngl -dev -nr -fa");
  for (std::string name; names >> name;) EXPECT_TRUE(option_named(Command::bench, name)) << name;
}

TEST(OptionTable, AliasesOfOtherProgramsAreThere) {
  const std::map<OptionId, std::vector<const char*>> aliases = {
      {OptionId::predict, {"-n", "--n-predict", "--predict", "--max-tokens", "--steps"}},
      {OptionId::context, {"-c", "--ctx-size", "--max-model-len", "--max-seq-len", "--ctx_size"}},
      {OptionId::threads, {"-t", "--threads", "--nthreads"}},
      {OptionId::threads_batch, {"-tb", "--threads-batch"}},
      {OptionId::temperature, {"--temp", "--temperature"}},
      {OptionId::top_p, {"--top-p", "--topp"}},
      {OptionId::cache_type_k, {"-ctk", "--cache-type-k"}},
      {OptionId::cache_type_v, {"-ctv", "--cache-type-v"}},
      {OptionId::micro_batch, {"-ub", "--ubatch-size"}},
      {OptionId::top_n_sigma, {"--top-n-sigma", "--top-nsigma"}},
      {OptionId::stop, {"-r", "--reverse-prompt", "--stop"}},
      {OptionId::logit_bias, {"-l", "--logit-bias"}},
      {OptionId::device, {"-dev", "--device"}},
  };
  for (const auto& [id, names] : aliases)
    for (const char* name : names) {
      const auto found = option_named(Command::run, name);
      ASSERT_TRUE(found) << name;
      EXPECT_EQ(found->option->id, id) << name;
    }
}

TEST(EnvironmentName, IsTheLongNameInCapitals) {
  EXPECT_EQ(environment_name("--ctx-size"), "STRATA_CTX_SIZE");
  EXPECT_EQ(option_info(OptionId::context).environment, "STRATA_CTX_SIZE");
  EXPECT_EQ(option_info(OptionId::predict).environment, "STRATA_N_PREDICT");
  EXPECT_EQ(option_info(OptionId::prompt).environment, "");
}

TEST(Nearest, FindsSlipsAndNothingElse) {
  const std::array<std::string_view, 4> names = {"--temp", "--top-k", "--threads", "-ctk"};
  EXPECT_EQ(nearest("--tmep", names), "--temp");
  EXPECT_EQ(nearest("-temp", names), "--temp");
  EXPECT_EQ(nearest("--thread", names), "--threads");
  EXPECT_EQ(nearest("-ctx", names), "-ctk");
  EXPECT_EQ(nearest("-kct", std::array<std::string_view, 1>{"-ckt"}), "-ckt");
  EXPECT_EQ(nearest("-bu", std::array<std::string_view, 1>{"-ub"}), "-ub");
  EXPECT_EQ(nearest("--grammar-file", names), "");
  EXPECT_EQ(nearest(std::string(100000, '-'), names), "");
}

}  // namespace
}  // namespace strata::cli
