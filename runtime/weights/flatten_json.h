#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "runtime/weights/metadata.h"

namespace strata {

/// A JSON object as metadata: one key per value, those of nested objects joined with dots
/// ("rope_scaling.factor"), values of null left out. Integers become i64 (u64 beyond it), other
/// numbers f64; a list whose elements are all integers, all numbers, all booleans or all strings is
/// a list, any other has a key per element ("name.0"). Keys and values are kept in `texts`, which
/// must outlive the result. Throws Error(bad_model) whose subject is `file_name` for what is no
/// JSON object, for a key that comes twice, for more than 32 levels or 262144 values.
Metadata flatten_json(std::string_view text, const std::string& file_name,
                      std::deque<std::string>& texts);

}  // namespace strata
