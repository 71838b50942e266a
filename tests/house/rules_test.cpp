// Each rule of the house, shown to fail on a bad sample and to leave a good one alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/house/include_rules.h"
#include "tests/house/size_rules.h"
#include "tests/house/source_text.h"
#include "tests/house/word_rules.h"

namespace strata::house {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string lines(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += "  f(1);\n";
  return text;
}

TEST(Blank, KeepsCodeAndLineNumbers) {
  const std::string text =
      "int a; // x\n/* y\n z */ int b = 1'000;\nauto s = \"// no { \\\" \"; char c = '{';\n"
      "#define F(x) { \\\n  x\nauto r = R\"d({ )\" } )d\"; int e;\n";
  const std::string code = blank(text, Blank::all_but_code);
  EXPECT_EQ(code.size(), text.size());
  EXPECT_EQ(line_count(code), line_count(text));
  EXPECT_THAT(code, HasSubstr("int b = 1'000;"));
  EXPECT_THAT(code, HasSubstr("int e;"));
  EXPECT_EQ(code.find_first_of("{}\"xyz"), std::string::npos);
  EXPECT_THAT(blank(text, Blank::comments), HasSubstr("\"// no { \\\" \""));
}

TEST(Blank, ToleratesUnfinishedText) {
  for (const char* text : {"", "/*", "\"", "'", "R\"x(", "R\"", "#", "# \\", "//", "\"\\"}) {
    EXPECT_EQ(blank(text, Blank::all_but_code).size(), std::string(text).size()) << text;
    EXPECT_EQ(blank(text, Blank::comments), blank(text, Blank::comments)) << text;
  }
}

constexpr std::string_view kPage =
    "| folder | what | may include |\n|---|---|---|\n"
    "| `low/` | lowest | the standard library |\n"
    "| `mid/`, `side/` | between | `low/` |\n"
    "| `high/` | top | `mid/`, `side/*/door.h`, `made.h` |\n"
    "| `any/` | all | `*` |\n\n| `not/` | outside of the table | `low/` |\n";

std::vector<std::string> check_include(const std::string& from, const std::string& target) {
  const std::set<std::string> known = {"low/a.h",       "mid/a.h",        "side/one/door.h",
                                       "side/one/in.h", "high/sub/a.inc", from};
  return include_violations({{from, "#pragma once\n#  include \"" + target + "\"\n"}}, known,
                            parse_include_table(kPage));
}

TEST(IncludeRule, ReadsTheTable) {
  const IncludeTable table = parse_include_table(kPage);
  EXPECT_EQ(table.size(), 5U);
  EXPECT_THAT(table.at("low/"), IsEmpty());
  EXPECT_EQ(table.at("high/").count("low/"), 1U) << "what lies below may be included too";
  EXPECT_THAT(parse_include_table("no table\n| a |\n|---|\n| `b/` |\n"), IsEmpty());
}

TEST(IncludeRule, AllowsWhatTheTableNames) {
  for (const char* target : {"mid/a.h", "low/a.h", "side/one/door.h", "made.h", "sub/a.inc"}) {
    EXPECT_THAT(check_include("high/b.h", target), IsEmpty()) << target;
  }
  EXPECT_THAT(check_include("any/b.cpp", "side/one/in.h"), IsEmpty());
}

TEST(IncludeRule, RefusesTheRest) {
  EXPECT_THAT(check_include("low/b.h", "mid/a.h"),
              ElementsAre("low/b.h:2: low/ may not include mid/a.h"));
  EXPECT_THAT(check_include("high/b.h", "side/one/in.h"), ElementsAre(HasSubstr("high/b.h:2")));
  EXPECT_THAT(check_include("mid/b.h", "made.h"), ElementsAre(HasSubstr("no such file")));
  EXPECT_THAT(check_include("new/b.h", "low/a.h"), ElementsAre(HasSubstr("no row")));
  EXPECT_THAT(check_include("low/b.h", "../mid/a.h"), ElementsAre(HasSubstr("mid/a.h")));
}

TEST(IncludeRule, ReadsNoComments) {
  const std::string text = "// #include \"mid/a.h\"\n/*\n#include \"mid/a.h\"\n*/\n";
  EXPECT_THAT(include_violations({{"low/b.h", text}}, {"mid/a.h"}, parse_include_table(kPage)),
              IsEmpty());
}

TEST(SizeRule, FindsFunctions) {
  const auto found = find_functions(
      "namespace a {\nstruct S {\n  S(int x) : x_{x}, y_(2) {\n    g();\n  }\n  int x_{3};\n};\n"
      "template <class T, int n = 2>\nT f(T x) {\n  auto l = [] {\n  };\n  if (x) {\n  }\n}\n"
      "const int t[] = {\n  g(1),\n};\nenum class E { a };\n}\n");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].first_line, 3U);
  EXPECT_EQ(found[0].lines, 3U);
  EXPECT_EQ(found[1].first_line, 8U);
  EXPECT_EQ(found[1].lines, 7U);
}

TEST(SizeRule, RefusesLongFunctions) {
  const std::string good = "void f() {\n" + lines(kMostFunctionLines - 2) + "}\n";
  const std::string bad = "void f() {\n" + lines(kMostFunctionLines - 1) + "}\n";
  EXPECT_THAT(size_violations({{"runtime/a.cpp", good}}), IsEmpty());
  EXPECT_THAT(size_violations({{"runtime/a.cpp", bad}}),
              ElementsAre("runtime/a.cpp:1: 101 lines, at most 100: void f() {"));
  EXPECT_THAT(size_violations({{"runtime/a.cpp", "class C {\n" + bad + "};\n"}}),
              ElementsAre(HasSubstr("runtime/a.cpp:2: 101 lines")));
  const std::string constructor = "C::C() : a_{1} {\n" + lines(kMostFunctionLines - 1) + "}\n";
  EXPECT_THAT(size_violations({{"runtime/a.cpp", constructor}}), ElementsAre(HasSubstr(":1: 101")));
}

TEST(SizeRule, GivesKernelsMoreRoom) {
  const std::string function = "void f() {\n" + lines(kMostFunctionLines) + "}\n";
  const std::string long_one = "void f() {\n" + lines(kMostKernelLines) + "}\n";
  EXPECT_THAT(size_violations({{"backends/cpu/kernels/a.cpp", function}}), IsEmpty());
  EXPECT_THAT(size_violations({{"backends/cpu/kernels/a.cpp", long_one}}),
              ElementsAre(HasSubstr("at most 150")));
}

TEST(SizeRule, RefusesLongFilesButTables) {
  EXPECT_THAT(size_violations({{"runtime/a.h", lines(kMostFileLines)}}), IsEmpty());
  EXPECT_THAT(size_violations({{"runtime/a.h", lines(kMostFileLines + 1)}}),
              ElementsAre(HasSubstr("runtime/a.h: 601 lines")));
  EXPECT_THAT(size_violations({{"runtime/a.def", lines(kMostFileLines + 1)}}), IsEmpty());
}

TEST(WordRule, RefusesRegexEverywhere) {
  EXPECT_THAT(word_violations({{"tests/a.cpp", "#include <regex>\nstd::regex r;\n"}}),
              ElementsAre(HasSubstr(":2: std::regex"), HasSubstr(":1: <regex>")));
  EXPECT_THAT(word_violations({{"tests/a.cpp", "// std::regex\nauto s = \"std::regex\";\n"}}),
              IsEmpty());
}

TEST(WordRule, RefusesEndingTheProcessAndPrintingInLibraries) {
  for (const char* bad :
       {"std::abort();", "exit(1);", "_exit (2);", "std::terminate();", "std::cout << 1;",
        "printf(\"x\");", "std::fprintf(f, \"x\");", "fmt::print(\"x\");"}) {
    EXPECT_EQ(word_violations({{"runtime/core/a.cpp", bad}}).size(), 1U) << bad;
    EXPECT_EQ(word_violations({{"net/a.cpp", bad}}).size(), 1U) << bad;
    EXPECT_THAT(word_violations({{"apps/a.cpp", bad}}), IsEmpty()) << bad;
  }
  for (const char* good : {"on_exit(1);", "x.abort();", "p->exit(1);", "int abort = 1;",
                           "std::snprintf(b, 2, \"x\");", "exits(1);"}) {
    EXPECT_THAT(word_violations({{"runtime/core/a.cpp", good}}), IsEmpty()) << good;
  }
}

TEST(WordRule, KeepsVendorHeadersInTheirBackends) {
  for (const char* header : {"cuda_runtime.h", "hip/hip_runtime.h", "vulkan/vulkan.h"}) {
    const std::string text = std::string("#include <") + header + ">\n";
    EXPECT_EQ(word_violations({{"runtime/graph/a.cpp", text}}).size(), 1U) << header;
    EXPECT_THAT(word_violations({{"backends/cuda/a.cu", text}}), IsEmpty()) << header;
  }
}

TEST(Sources, AreFoundByEnding) {
  const std::filesystem::path root =
      std::filesystem::path(testing::TempDir()) / "strata_house_sources";
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root / "a" / "b");
  for (const char* name : {"a/z.h", "a/b/c.cpp", "a/b/d.txt", "a/t.def"}) {
    std::ofstream(root / name) << "int x;\n";
  }
  std::vector<std::string> paths;
  for (const SourceFile& file : read_sources(root, {"a", "missing"})) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("a/b/c.cpp", "a/t.def", "a/z.h"));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace strata::house
