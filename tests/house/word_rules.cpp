#include "tests/house/word_rules.h"

#include <fmt/core.h>

#include <string_view>

namespace strata::house {
namespace {

bool below(std::string_view path, std::initializer_list<std::string_view> folders) {
  for (const std::string_view folder : folders) {
    if (path.substr(0, folder.size()) == folder) return true;
  }
  return false;
}

/// Offsets of `word` as a whole word of `code`; with `called`, only where "(" follows and no object
/// stands before it ("stream.exit(" is somebody's member).
std::vector<std::size_t> find_word(std::string_view code, std::string_view word, bool called) {
  std::vector<std::size_t> found;
  for (std::size_t at = code.find(word); at != std::string_view::npos;
       at = code.find(word, at + word.size())) {
    const std::size_t end = at + word.size();
    if ((at > 0 && is_word(code[at - 1])) || (end < code.size() && is_word(code[end]))) continue;
    if (called) {
      const std::string_view next = trim(code.substr(end, 16));
      const std::string_view before = code.substr(0, at);
      const char last = before.empty() ? ' ' : before.back();
      if (next.empty() || next.front() != '(' || last == '.' || last == '>') continue;
    }
    found.push_back(at);
  }
  return found;
}

struct Rule {
  std::string_view word;
  bool called;
  std::string_view why;
};

constexpr std::string_view kNoEnd = "a library never ends the process: throw strata::Error";
constexpr std::string_view kNoPrint = "a library never prints: return it, or use the log sink";
constexpr Rule kLibraryRules[] = {
    {"abort", true, kNoEnd},        {"exit", true, kNoEnd},         {"_exit", true, kNoEnd},
    {"_Exit", true, kNoEnd},        {"quick_exit", true, kNoEnd},   {"terminate", true, kNoEnd},
    {"std::cout", false, kNoPrint}, {"std::cerr", false, kNoPrint}, {"std::clog", false, kNoPrint},
    {"printf", true, kNoPrint},     {"fprintf", true, kNoPrint},    {"puts", true, kNoPrint},
    {"perror", true, kNoPrint},     {"fmt::print", true, kNoPrint},
};
constexpr Rule kEverywhere[] = {
    {"std::regex", false, "std::regex recurses on its input: use PCRE2, or write the loop"},
};
constexpr std::string_view kVendorHeaders[] = {"cuda",    "cublas",  "hip/",
                                               "hipblas", "rocblas", "vulkan/"};

template <std::size_t n>
void apply(const Rule (&rules)[n], const SourceFile& file, std::string_view code,
           std::vector<std::string>& wrong) {
  for (const Rule& rule : rules) {
    for (const std::size_t at : find_word(code, rule.word, rule.called)) {
      wrong.push_back(
          fmt::format("{}:{}: {}: {}", file.path, line_of(code, at), rule.word, rule.why));
    }
  }
}

/// Whether only blanks and a "#" stand before `at` in its line.
bool begins_directive(std::string_view code, std::size_t at) {
  const std::size_t newline = code.rfind('\n', at);
  const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  const std::string_view before = trim(code.substr(start, at - start));
  return before == "#";
}

void check_system_headers(const SourceFile& file, std::vector<std::string>& wrong) {
  constexpr std::string_view kInclude = "include <";
  const std::string code = blank(file.text, Blank::comments);
  const bool neutral = below(file.path, {"runtime/", "net/", "server/", "apps/"});
  for (std::size_t at = code.find(kInclude); at != std::string::npos;
       at = code.find(kInclude, at + 1)) {
    if (!begins_directive(code, at)) continue;
    const std::size_t start = at + kInclude.size();
    const std::string header = code.substr(start, code.find('>', start) - start);
    if (header == "regex") {
      wrong.push_back(
          fmt::format("{}:{}: <regex>: {}", file.path, line_of(code, at), kEverywhere[0].why));
    }
    for (const std::string_view vendor : kVendorHeaders) {
      if (!neutral || header.compare(0, vendor.size(), vendor) != 0) continue;
      wrong.push_back(fmt::format("{}:{}: <{}>: a vendor's header belongs to its backend",
                                  file.path, line_of(code, at), header));
    }
  }
}

}  // namespace

std::vector<std::string> word_violations(const std::vector<SourceFile>& files) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : files) {
    const std::string code = blank(file.text, Blank::all_but_code);
    apply(kEverywhere, file, code, wrong);
    if (below(file.path, {"runtime/", "backends/", "net/", "server/"})) {
      apply(kLibraryRules, file, code, wrong);
    }
    check_system_headers(file, wrong);
  }
  return wrong;
}

}  // namespace strata::house
