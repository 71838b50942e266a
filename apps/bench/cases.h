#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "runtime/core/dtype.h"

namespace strata::apps {

/// What a test runs on: everything that needs a model to be loaded anew.
struct BenchSetup {
  std::string model;
  std::int64_t batch = 0;
  std::int64_t micro_batch = 0;
  DType type_k = DType::F16;
  DType type_v = DType::F16;
  int threads = 0;  ///< 0: the device decides
  friend bool operator==(const BenchSetup&, const BenchSetup&) = default;
};

/// One test: `prompt` tokens at once, then `generate` one by one, behind `depth` tokens.
struct BenchCase {
  BenchSetup setup;
  std::int64_t prompt = 0;
  std::int64_t generate = 0;
  std::int64_t depth = 0;

  std::int64_t tokens() const { return prompt + generate; }
  /// "pp512", "tg128", "pp512+tg128", "tg128 @ d4096"
  std::string name() const;
};

/// The tests that a command line asks for, in llama-bench's order: the later lists vary faster.
/// Throws Error(usage) when there is no model, no test, or a -pg that is no pair.
std::vector<BenchCase> bench_cases(const cli::Arguments& arguments);

}  // namespace strata::apps
