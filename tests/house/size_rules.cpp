#include "tests/house/size_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace strata::house {
namespace {

enum class Scope { outer, function, other };  // outer: namespace or type; other: initialiser, block

/// Drops from the front what may precede a declaration: template heads, access labels.
std::string_view skip_preamble(std::string_view statement) {
  for (;;) {
    statement = trim(statement);
    if (statement.substr(0, 8) == "template") {
      std::size_t at = statement.find('<');
      if (at == std::string_view::npos) return statement;
      int depth = 0;
      for (; at < statement.size(); ++at) {
        if (statement[at] == '<') ++depth;
        if (statement[at] == '>' && --depth == 0) break;
      }
      statement.remove_prefix(std::min(at + 1, statement.size()));
      continue;
    }
    bool label = false;
    for (const std::string_view access : {"public:", "private:", "protected:"}) {
      if (statement.substr(0, access.size()) != access) continue;
      statement.remove_prefix(access.size());
      label = true;
    }
    if (!label) return statement;
  }
}

std::string_view first_word(std::string_view statement) {
  std::size_t end = 0;
  while (end < statement.size() && is_word(statement[end])) ++end;
  return statement.substr(0, end);
}

bool has_function_head(std::string_view statement) {
  if (statement.find('(') == std::string_view::npos) return false;
  constexpr std::string_view kInitialiserEnds = "=,(";
  return kInitialiserEnds.find(statement.back()) == std::string_view::npos;
}

/// What an opening brace after `statement` opens, outside of any function.
Scope scope_after(std::string_view statement) {
  statement = skip_preamble(statement);
  if (statement.empty()) return Scope::other;
  std::string_view word = first_word(statement);
  if (word == "inline" || word == "typedef" || word == "static" || word == "const") {
    word = first_word(trim(statement.substr(word.size())));
  }
  constexpr std::array<std::string_view, 5> kOuter = {"namespace", "class", "struct", "union",
                                                      "enum"};
  if (std::find(kOuter.begin(), kOuter.end(), word) != kOuter.end()) return Scope::outer;
  if (word == "extern" && statement.find('(') == std::string_view::npos) return Scope::outer;
  return has_function_head(statement) ? Scope::function : Scope::other;
}

/// Follows the braces of a blanked text.
class FunctionFinder {
 public:
  explicit FunctionFinder(std::string_view code) : code_(code) {}

  std::vector<FunctionSpan> run() {
    for (at_ = 0; at_ < code_.size(); ++at_) {
      if (code_[at_] == '{') {
        open();
      } else if (code_[at_] == '}') {
        close();
      } else if (code_[at_] == ';') {
        statement_ = at_ + 1;
        member_initialiser_ = false;
      }
    }
    return std::move(found_);
  }

 private:
  struct Open {
    Scope scope;
    std::size_t start;  // offset of the statement that the brace belongs to
  };

  void open() {
    const std::string_view statement = trim(code_.substr(statement_, at_ - statement_));
    Scope scope = Scope::other;
    std::size_t start = statement_;
    if (!inside_function_) {
      scope = scope_after(statement);
      // "Type::Type() : a_{1}, b_{2} {": the braces of the members came first.
      if (member_initialiser_ && (statement.empty() || statement.front() == ',')) {
        scope = Scope::function;
        start = last_start_;
      }
    }
    if (scope == Scope::function) inside_function_ = true;
    open_.push_back({scope, start});
    statement_ = at_ + 1;
  }

  void close() {
    statement_ = at_ + 1;
    member_initialiser_ = false;
    if (open_.empty()) return;  // unbalanced text: a macro hid the opening brace
    const Open closed = open_.back();
    open_.pop_back();
    if (closed.scope != Scope::function) return;
    inside_function_ = false;
    member_initialiser_ = true;
    last_start_ = closed.start;
    const std::size_t first = code_.find_first_not_of(" \t\r\n", closed.start);
    const std::size_t line = line_of(code_, first);
    std::string signature(code_.substr(first, std::min<std::size_t>(60, at_ - first)));
    signature = signature.substr(0, signature.find('\n'));
    if (!found_.empty() && found_.back().first_line == line) found_.pop_back();
    found_.push_back({std::move(signature), line, line_of(code_, at_) - line + 1});
  }

  std::string_view code_;
  std::size_t at_ = 0;
  std::size_t statement_ = 0;
  std::size_t last_start_ = 0;
  bool inside_function_ = false;
  bool member_initialiser_ = false;
  std::vector<Open> open_;
  std::vector<FunctionSpan> found_;
};

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

bool is_kernel(std::string_view path) {
  return path.find("/kernels/") != std::string_view::npos || path.substr(0, 8) == "shaders/" ||
         ends_with(path, ".cu") || ends_with(path, ".cuh");
}

}  // namespace

std::vector<FunctionSpan> find_functions(std::string_view text) {
  const std::string code = blank(text, Blank::all_but_code);
  return FunctionFinder(code).run();
}

std::vector<std::string> size_violations(const std::vector<SourceFile>& files) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : files) {
    if (ends_with(file.path, ".def") || ends_with(file.path, ".inc")) continue;
    if (const std::size_t lines = line_count(file.text); lines > kMostFileLines) {
      wrong.push_back(fmt::format("{}: {} lines, at most {}: split it, or move a table into .inc",
                                  file.path, lines, kMostFileLines));
    }
    const std::size_t most = is_kernel(file.path) ? kMostKernelLines : kMostFunctionLines;
    for (const FunctionSpan& function : find_functions(file.text)) {
      if (function.lines <= most) continue;
      wrong.push_back(fmt::format("{}:{}: {} lines, at most {}: {}", file.path, function.first_line,
                                  function.lines, most, function.signature));
    }
  }
  return wrong;
}

}  // namespace strata::house
