#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strata {

/// What TopCandidates makes of a row of logits, in the words that it writes.
struct CandidateRow {
  std::span<const std::int32_t> ids;  ///< (count) largest logit first; -1 behind the last
  std::span<const float> logits;      ///< (count) of them
  float weight_sum = 0;               ///< of exp(logit - largest) over the whole row
  std::int32_t unusable = 0;          ///< logits of the row that are NaN or +infinity
};

/// 32-bit words of such a row.
constexpr std::int64_t candidate_words(std::int64_t count) { return 2 * count + 2; }

/// How far weight_sum may be from the sum of exact exponentials, as a share of it: a logit goes
/// through at most 128 additions (2^-17 in all); the difference from the largest is rounded, and
/// its exponential is within 3 + 2 |difference| units of the last place (the least that Vulkan
/// promises), which over a softmax of 2^18 logits is less than 2^-17 of the sum.
inline constexpr double kWeightSumError = 0x1p-16;

/// The row at `words`, in host memory. The view is valid as long as the words are.
inline CandidateRow candidate_row(const std::byte* words, std::int32_t count) {
  const auto n = static_cast<std::size_t>(count);
  const auto* ids = reinterpret_cast<const std::int32_t*>(words);
  const auto* logits = reinterpret_cast<const float*>(words) + n;
  return {{ids, n}, {logits, n}, logits[n], ids[2 * n + 1]};
}

}  // namespace strata
