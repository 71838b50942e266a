#include "tests/house/include_rules.h"

#include <fmt/core.h>

#include <filesystem>

namespace strata::house {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

/// The cells of a Markdown table row; empty if the line is none.
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  line = trim(line);
  if (line.size() < 2 || line.front() != '|' || line.back() != '|') return cells;
  line.remove_prefix(1);
  while (!line.empty()) {
    const std::size_t bar = line.find('|');
    cells.push_back(trim(line.substr(0, bar)));
    line.remove_prefix(bar + 1);
  }
  return cells;
}

std::vector<std::string> backticked(std::string_view cell) {
  std::vector<std::string> found;
  for (std::size_t open = cell.find('`'); open != std::string_view::npos;) {
    const std::size_t close = cell.find('`', open + 1);
    if (close == std::string_view::npos) break;
    found.emplace_back(cell.substr(open + 1, close - open - 1));
    open = cell.find('`', close + 1);
  }
  return found;
}

/// Adds to each row what the folders it names may include themselves, until nothing is new.
void add_what_lies_below(IncludeTable& table) {
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& [folder, allowed] : table) {
      const std::set<std::string> before = allowed;
      for (const std::string& below : before) {
        if (const auto row = table.find(below); row != table.end()) {
          allowed.insert(row->second.begin(), row->second.end());
        }
      }
      changed = changed || allowed.size() != before.size();
    }
  }
}

/// The row of the table that `path` belongs to: the longest folder it lies in; empty if none.
std::string_view row_of(std::string_view path, const IncludeTable& table) {
  std::string_view best;
  for (const auto& [folder, allowed] : table) {
    if (path.substr(0, folder.size()) == folder && folder.size() > best.size()) best = folder;
  }
  return best;
}

/// Whether `path` is `pattern`, in which one "*" may stand for the name of a folder.
bool matches(std::string_view path, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return path == pattern;
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  if (path.size() <= head.size() + tail.size() || path.substr(0, head.size()) != head ||
      path.substr(path.size() - tail.size()) != tail) {
    return false;
  }
  const std::string_view middle = path.substr(head.size(), path.size() - head.size() - tail.size());
  return middle.find('/') == std::string_view::npos;
}

bool allowed_by(const std::set<std::string>& allowed, std::string_view target,
                std::string_view target_row) {
  for (const std::string& entry : allowed) {
    if (entry == "*" || entry == target_row || matches(target, entry)) return true;
  }
  return false;
}

struct Include {
  std::string target;
  std::size_t line;
};

/// The quoted includes of a file; those in angle brackets are the system's.
std::vector<Include> quoted_includes(std::string_view text) {
  std::vector<Include> found;
  const std::string code = blank(text, Blank::comments);
  std::size_t number = 0;
  for (std::string_view line : lines_of(code)) {
    ++number;
    line = trim(line);
    if (line.empty() || line.front() != '#') continue;
    line = trim(line.substr(1));
    if (line.substr(0, 7) != "include") continue;
    line = trim(line.substr(7));
    if (line.size() < 2 || line.front() != '"') continue;
    found.push_back({std::string(line.substr(1, line.find('"', 1) - 1)), number});
  }
  return found;
}

/// The file of the tree that an include names: from the top, else beside the including file, else
/// (shaders, whose compiler has its own root) from the file's top folder.
std::string resolve(const SourceFile& file, const std::string& target,
                    const std::set<std::string>& known) {
  if (known.count(target) != 0) return target;
  const std::string beside =
      (std::filesystem::path(file.path).parent_path() / target).lexically_normal().generic_string();
  if (known.count(beside) != 0) return beside;
  const std::string from_top_folder = file.path.substr(0, file.path.find('/') + 1) + target;
  return known.count(from_top_folder) != 0 ? from_top_folder : std::string();
}

}  // namespace

IncludeTable parse_include_table(std::string_view markdown) {
  IncludeTable table;
  bool inside = false;
  for (const std::string_view line : lines_of(markdown)) {
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() < 2) {
      inside = false;
    } else if (cells.front() == "folder" && cells.back() == "may include") {
      inside = true;
    } else if (inside) {
      for (const std::string& folder : backticked(cells.front())) {
        for (const std::string& entry : backticked(cells.back())) table[folder].insert(entry);
        table.try_emplace(folder);
      }
    }
  }
  add_what_lies_below(table);
  return table;
}

std::vector<std::string> include_violations(const std::vector<SourceFile>& files,
                                            const std::set<std::string>& known,
                                            const IncludeTable& table) {
  std::vector<std::string> wrong;
  for (const SourceFile& file : files) {
    const std::string_view row = row_of(file.path, table);
    if (row.empty()) {
      wrong.push_back(fmt::format("{}: its folder has no row in the table", file.path));
      continue;
    }
    const std::set<std::string>& allowed = table.find(row)->second;
    for (const Include& include : quoted_includes(file.text)) {
      const std::string found = resolve(file, include.target, known);
      const std::string_view target = found.empty() ? include.target : found;
      const std::string_view target_row = row_of(target, table);
      if (!found.empty() && target_row == row) continue;
      if (allowed_by(allowed, target, target_row)) continue;
      wrong.push_back(fmt::format("{}:{}: {} may not include {}{}", file.path, include.line, row,
                                  target, found.empty() ? " (no such file in the tree)" : ""));
    }
  }
  return wrong;
}

}  // namespace strata::house
