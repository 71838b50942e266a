#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::cli {

/// A whole decimal number, the entire text, whatever the locale; empty for anything else.
std::optional<std::int64_t> parse_integer(std::string_view text);

/// A finite decimal number, the entire text, whatever the locale; empty for anything else.
std::optional<double> parse_number(std::string_view text);

/// Whether two words are the same but for capitals.
bool same_word(std::string_view a, std::string_view b);

/// 1, on, true, yes, enabled and their opposites, in any case; empty for anything else.
std::optional<bool> parse_switch(std::string_view text);

/// "1,2,3", also as "[1, 2, 3]"; an empty text is an empty list; empty for anything else.
std::optional<std::vector<std::int64_t>> parse_integers(std::string_view text);

/// "512,1024", "1-4" (1, 2, 3, 4), "8-64+8" and "8-64*2" (8, 16, 32, 64), in any mixture: the
/// lists of llama-bench. Empty for anything else, for numbers outside of least .. most, and for
/// more than some thousand numbers.
std::optional<std::vector<std::int64_t>> parse_ranges(std::string_view text, std::int64_t least,
                                                      std::int64_t most);

/// A number of bytes, or what is wrong with the text that should be one.
struct ByteSize {
  std::int64_t bytes = 0;
  std::string wrong;  ///< "" if it is one
};

/// "600MiB", "1.5 GiB", "4096B" or "4096": at least one byte, in B, KiB, MiB, GiB or TiB (capitals
/// do not matter). MB and GB, which some take for 1000s and some for 1024s, are refused.
ByteSize parse_byte_size(std::string_view text);

/// "15043+1.5", "15043-1", "15043-inf" (a ban; also "15043=false"): a token and its logit bias.
/// Throws Error{usage} naming `subject`.
std::pair<std::int32_t, float> parse_logit_bias(std::string_view subject, std::string_view text);

/// `text` with \n, \r, \t, \\, \", \' and \xHH replaced by what they stand for; any other backslash
/// stays, as in llama.cpp.
std::string unescape(std::string_view text);

}  // namespace strata::cli
