// The rules of the source tree, applied to the tree itself. That each rule sees what it forbids is
// shown in rules_test.cpp.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tests/house/include_rules.h"
#include "tests/house/size_rules.h"
#include "tests/house/source_text.h"
#include "tests/house/word_rules.h"
#include "tests/support/shared_data.h"

namespace strata::house {
namespace {

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files =
      read_sources(test::source_root(), {"runtime", "backends", "shaders", "net", "server", "apps",
                                         "bench", "tests", "models", "tools"});
  return files;
}

std::string all_of(const std::vector<std::string>& wrong) {
  std::string text;
  for (const std::string& line : wrong) text += "  " + line + "\n";
  return text;
}

TEST(Tree, IsFound) {
  EXPECT_GT(tree().size(), 50U);
  std::set<std::string> folders;
  for (const SourceFile& file : tree()) folders.insert(file.path.substr(0, file.path.find('/')));
  EXPECT_TRUE(folders.count("runtime") && folders.count("backends") && folders.count("tests"));
}

TEST(Tree, IncludesFollowTheArchitecture) {
  std::ifstream in(test::source_root() / "docs" / "ARCHITECTURE.md");
  const std::string page(std::istreambuf_iterator<char>(in), {});
  const IncludeTable table = parse_include_table(page);
  ASSERT_GE(table.size(), 15U) << "docs/ARCHITECTURE.md: the table of folders is not there";
  std::set<std::string> known;
  for (const SourceFile& file : tree()) known.insert(file.path);
  const auto wrong = include_violations(tree(), known, table);
  EXPECT_TRUE(wrong.empty()) << all_of(wrong);
}

TEST(Tree, FilesAndFunctionsAreShort) {
  const auto wrong = size_violations(tree());
  EXPECT_TRUE(wrong.empty()) << all_of(wrong);
}

TEST(Tree, SaysNothingForbidden) {
  const auto wrong = word_violations(tree());
  EXPECT_TRUE(wrong.empty()) << all_of(wrong);
}

}  // namespace
}  // namespace strata::house
