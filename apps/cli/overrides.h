#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/tensor_overrides.h"

namespace strata::cli {

/// What --cpu-moe stands for: the pattern of every layer's experts.
std::string expert_pattern();
/// The same for one layer, as --n-cpu-moe N stands for the layers 0 to N - 1.
std::string expert_pattern(std::int64_t layer);

/// "blk\.[0-3]\.=CPU,exps=CUDA0": rules with commas between, as llama.cpp reads them (so a pattern
/// holds neither comma nor "="); devices as --device takes them. Throws Error{usage} that begins
/// with `subject` for a rule without a pattern or a device that can be named. The patterns
/// themselves are not looked at.
std::vector<TensorOverride> parse_tensor_overrides(std::string_view subject, std::string_view text);

}  // namespace strata::cli
