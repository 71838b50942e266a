#pragma once

#include "apps/bench/print.h"

namespace strata::apps {

/// llama-bench's table: model, size, params, backend, threads, what differs from the defaults or
/// between tests, test, t/s; then what a test needs, what was achieved, and the ceiling.
std::unique_ptr<BenchPrinter> make_markdown_printer(std::span<const BenchCase> cases);

}  // namespace strata::apps
