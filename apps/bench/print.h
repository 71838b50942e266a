#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "apps/bench/result.h"

namespace strata::apps {

/// Rows of results as text, in a format of llama-bench: its fields with its names first, ours after
/// them. What was not measured is null (CSV: empty).
class BenchPrinter {
 public:
  virtual ~BenchPrinter() = default;
  virtual std::string header() { return {}; }
  virtual std::string row(const BenchResult& result) = 0;
  virtual std::string footer() { return {}; }
};

/// "md", "json", "jsonl", "csv" or "sql"; null for "none". `cases` decides which columns a table
/// for people needs.
std::unique_ptr<BenchPrinter> make_bench_printer(std::string_view format,
                                                 std::span<const BenchCase> cases);

}  // namespace strata::apps
