#pragma once

#include <nlohmann/json.hpp>

#include "apps/bench/result.h"

namespace strata::apps {

/// llama-bench's fields of a result in their order, but for the samples. Those that name something
/// that Strata has not got hold what llama-bench has where it is not used.
nlohmann::ordered_json llama_bench_fields(const BenchResult& result);

/// Ours, which come after them: null where nothing was measured.
nlohmann::ordered_json own_bench_fields(const BenchResult& result);

}  // namespace strata::apps
