#include "tests/house/source_text.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace strata::house {
namespace {

constexpr std::array<std::string_view, 8> kSourceEndings = {".h",  ".cpp", ".def",  ".inc",
                                                            ".cu", ".cuh", ".comp", ".glsl"};

bool is_source(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  return std::find(kSourceEndings.begin(), kSourceEndings.end(), ending) != kSourceEndings.end();
}

/// Walks over a source text and blanks parts of it in place.
class Blanker {
 public:
  Blanker(std::string text, Blank what) : text_(std::move(text)), what_(what) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        wipe(at_, end_of_line(at_));
      } else if (starts("/*")) {
        wipe(at_, after("*/", at_ + 2));
      } else if (text_[at_] == '#' && at_line_start_) {
        directive();
      } else if (starts("R\"") && (at_ == 0 || !is_word(text_[at_ - 1]))) {
        raw_string();
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !digit_separator())) {
        literal(text_[at_]);
      } else {
        step();
      }
    }
    return std::move(text_);
  }

 private:
  bool starts(std::string_view with) const { return text_.compare(at_, with.size(), with) == 0; }

  bool digit_separator() const { return at_ > 0 && is_word(text_[at_ - 1]); }

  void step() {
    if (text_[at_] == '\n') {
      at_line_start_ = true;
    } else if (text_[at_] != ' ' && text_[at_] != '\t') {
      at_line_start_ = false;
    }
    ++at_;
  }

  std::size_t end_of_line(std::size_t from) const {
    return std::min(text_.find('\n', from), text_.size());
  }

  std::size_t after(std::string_view what, std::size_t from) const {
    const std::size_t found = text_.find(what, from);
    return found == std::string::npos ? text_.size() : found + what.size();
  }

  void wipe(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (text_[i] != '\n') text_[i] = ' ';
    }
    at_ = to;
  }

  /// A directive up to its end, continued lines included; its own comments may hide the newline.
  void directive() {
    std::size_t end = end_of_line(at_);
    while (end < text_.size() && end > at_ && text_[end - 1] == '\\') end = end_of_line(end + 1);
    if (what_ == Blank::all_but_code) {
      wipe(at_, end);
      return;
    }
    const std::size_t comment = std::min(text_.find("//", at_), text_.find("/*", at_));
    at_line_start_ = false;
    at_ = std::min(comment, end);
  }

  void raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string::npos) return wipe_literal(text_.size());
    const std::string close = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
    wipe_literal(after(close, open));
  }

  void literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    wipe_literal(std::min(end + 1, text_.size()));
  }

  void wipe_literal(std::size_t end) {
    at_line_start_ = false;
    if (what_ == Blank::all_but_code) {
      wipe(at_, end);
    } else {
      at_ = end;
    }
  }

  std::string text_;
  Blank what_;
  std::size_t at_ = 0;
  bool at_line_start_ = true;
};

}  // namespace

std::vector<SourceFile> read_sources(const std::filesystem::path& root,
                                     const std::vector<std::string>& folders) {
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files.push_back({entry.path().lexically_relative(root).generic_string(),
                       std::string(std::istreambuf_iterator<char>(in), {})});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::string blank(std::string_view text, Blank what) {
  return Blanker(std::string(text), what).run();
}

std::size_t line_of(std::string_view text, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

std::size_t line_count(std::string_view text) {
  const auto newlines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  return newlines + (text.empty() || text.back() == '\n' ? 0 : 1);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kWhite);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace strata::house
