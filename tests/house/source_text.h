#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace strata::house {

/// One file of the source tree. `path` is relative to the project's top, with forward slashes.
struct SourceFile {
  std::string path;
  std::string text;
};

/// Every C++, CUDA and GLSL source below the named folders of `root`, sorted by path. A folder that
/// is not there gives nothing. Throws std::filesystem::filesystem_error if one cannot be read.
std::vector<SourceFile> read_sources(const std::filesystem::path& root,
                                     const std::vector<std::string>& folders);

/// What `blank` replaces by spaces. Newlines stay, so offsets and line numbers hold.
enum class Blank { comments, all_but_code };

/// `text` with its comments blanked; with all_but_code also the contents of string and character
/// literals, and preprocessor directives with their continued lines.
std::string blank(std::string_view text, Blank what);

/// The line of `offset` in `text`, counted from 1.
std::size_t line_of(std::string_view text, std::size_t offset);

/// The number of lines of `text`.
std::size_t line_count(std::string_view text);

/// `text` without the white space at its ends.
std::string_view trim(std::string_view text);

/// Whether `c` can be part of an identifier.
bool is_word(char c);

}  // namespace strata::house
