#include "apps/cli/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/core/error.h"

namespace strata::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// "--temp" stands in the text as a word of its own: not as the start of "--temperature".
bool has_word(const std::string& text, std::string_view word) {
  constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || kInside.find(text[at - 1]) == std::string_view::npos;
    const bool ends = end == text.size() || kInside.find(text[end]) == std::string_view::npos;
    if (starts && ends) return true;
  }
  return false;
}

TEST(Help, NamesEveryOptionAndFitsTheScreen) {
  for (const CommandInfo& info : commands()) {
    const std::string text = command_help(info.command);
    for (const OptionInfo& option : options()) {
      if (!option.taken_by(info.command)) continue;
      for (const auto* names : {&option.names, &option.off_names})
        for (std::string_view name : *names) EXPECT_TRUE(has_word(text, name)) << name;
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
  EXPECT_THAT(command_help(Command::run), HasSubstr("(default 0.8) [STRATA_TEMP]"));
  EXPECT_THAT(command_help(Command::tokenize), Not(HasSubstr("--temp")));
}

TEST(Help, ListsEveryCommand) {
  const std::string text = general_help();
  for (const CommandInfo& info : commands())
    EXPECT_THAT(text, HasSubstr(std::string(info.summary)));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(Completion, MentionsEverything) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string text = completion_script(shell);
    const bool fish = std::string_view(shell) == "fish";
    for (const CommandInfo& info : commands()) EXPECT_TRUE(has_word(text, info.name));
    for (const OptionInfo& option : options())
      for (const auto* names : {&option.names, &option.off_names})
        for (std::string_view name : *names) {
          // fish names options without their dashes, after -s, -o or -l.
          const std::string bare(name.substr(name.find_first_not_of('-')));
          EXPECT_TRUE(has_word(text, fish ? bare : std::string(name))) << shell << " " << name;
        }
  }
}

TEST(Completion, OtherShellsAreRefused) {
  for (const char* shell : {"tcsh", ""}) {
    try {
      completion_script(shell);
      FAIL() << shell;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_THAT(error.hint(), HasSubstr("bash, zsh, fish"));
    }
  }
}

// What bash offers when Tab is pressed after `line`, whose last word may be empty.
std::string bash_offers(const std::string& line) {
  const auto script = std::filesystem::temp_directory_path() /
                      ("strata_completion_" + std::to_string(getpid()) + ".bash");
  std::ofstream(script) << completion_script("bash");
  // compopt works only inside a real completion; it changes how names are shown, not which.
  const std::string command = "bash -c 'compopt() { :; }; source " + script.string() +
                              "; COMP_WORDS=(" + line +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _strata; "
                              "echo \"${COMPREPLY[*]}\"' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "";
  std::string result;
  std::array<char, 4096> buffer;
  while (std::fgets(buffer.data(), buffer.size(), pipe)) result += buffer.data();
  pclose(pipe);
  std::filesystem::remove(script);
  return result;
}

TEST(Completion, BashOffersWhatFits) {
  if (std::system("bash -c true") != 0) GTEST_SKIP() << "SKIP: no bash on this machine";
  EXPECT_EQ(bash_offers("strata tok"), "tokenize\n");
  EXPECT_EQ(bash_offers("strata run -ct"), "-ctk -ctv\n");
  EXPECT_EQ(bash_offers("strata run -ctk f"), "f32 f16\n");
  EXPECT_EQ(bash_offers("strata run --no-m"), "--no-mmap\n");
  EXPECT_EQ(bash_offers("strata completion \"\""), "bash zsh fish\n");
  EXPECT_EQ(bash_offers("strata plan --top"), "\n");
  EXPECT_EQ(bash_offers("strata run -n 1 /et"), "/etc\n");
  EXPECT_EQ(bash_offers("strata run -m /et"), "/etc\n");
}

}  // namespace
}  // namespace strata::cli
