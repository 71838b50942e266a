#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>

#include "runtime/core/error.h"
#include "runtime/text/sampler.h"

namespace strata::text {
namespace {

// Far beyond any use, and small enough that no sum or product of a logit can overflow.
constexpr float kLargestPenalty = 1000.0f;
constexpr float kUnbounded = std::numeric_limits<float>::max();

[[noreturn]] void refuse(const char* field, const std::string& value, const std::string& range) {
  throw Error(ErrorCode::bad_request, field, fmt::format("{} is not {}", value, range),
              fmt::format("give {} a value that is {}", field, range));
}

// NaN fails every comparison, so it is refused like any value out of range.
void check_range(const char* field, float value, float least, float most) {
  if (value >= least && value <= most) return;
  if (most < kUnbounded)
    refuse(field, fmt::format("{}", value), fmt::format("{} to {}", least, most));
  if (least > -kUnbounded)
    refuse(field, fmt::format("{}", value), fmt::format("a finite number of at least {}", least));
  refuse(field, fmt::format("{}", value), "a finite number");
}

void check_at_least(const char* field, std::int32_t value, std::int32_t least) {
  if (value < least)
    refuse(field, std::to_string(value), fmt::format("a whole number of at least {}", least));
}

}  // namespace

void SamplingParameters::validate() const {
  check_range("temperature", temperature, -kUnbounded, kUnbounded);
  check_range("dynatemp_range", dynatemp_range, 0, kUnbounded);
  check_range("dynatemp_exponent", dynatemp_exponent, 0, kUnbounded);
  check_range("top_p", top_p, 0, 1);
  check_range("min_p", min_p, 0, 1);
  check_range("typical_p", typical_p, 0, 1);
  check_range("top_n_sigma", top_n_sigma, -kUnbounded, kUnbounded);
  if (!(repeat_penalty > 0)) refuse("repeat_penalty", fmt::format("{}", repeat_penalty), "above 0");
  check_range("repeat_penalty", repeat_penalty, 0, kLargestPenalty);
  check_range("presence_penalty", presence_penalty, -kLargestPenalty, kLargestPenalty);
  check_range("frequency_penalty", frequency_penalty, -kLargestPenalty, kLargestPenalty);
  check_at_least("repeat_last_n", repeat_last_n, -1);
  check_at_least("min_keep", min_keep, 0);
  for (const auto& [id, bias] : logit_bias) {
    check_at_least("logit_bias", id, 0);
    if (std::isnan(bias) || bias > kUnbounded)
      refuse("logit_bias", fmt::format("{} for token {}", bias, id),
             "a finite number or -infinity");
  }
}

}  // namespace strata::text
