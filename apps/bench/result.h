#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/bench/cases.h"
#include "runtime/core/device.h"
#include "runtime/engine/step_cost.h"

namespace strata::apps {

/// What a row says of its model.
struct BenchModel {
  std::string type;  ///< "qwen3 0.6B Q4_0"
  std::uint64_t bytes = 0;
  std::uint64_t parameters = 0;
};

/// One measured test.
struct BenchResult {
  BenchCase test;
  BenchModel model;
  DeviceInfo device;
  bool mapped = true;  ///< --mmap
  std::string time;    ///< when the test began, RFC 3339
  std::vector<std::int64_t> samples_ns;
  StepCost cost;                   ///< of one repetition
  std::optional<Ceilings> before;  ///< measured right before and after the test
  std::optional<Ceilings> after;
  std::optional<double> foreign_cpu;

  std::vector<double> tokens_per_second() const;  ///< of each sample
};

/// Average and standard deviation (of a sample: n - 1) as llama-bench has them; 0 for too few.
double average(const std::vector<double>& values);
double deviation(const std::vector<double>& values);
double median(std::vector<double> values);

/// How near a result is to what the device could do. Only for tests of one phase: bytes for making
/// tokens, arithmetic for prompts. Empty members were not measured.
struct BenchShare {
  std::optional<double> bytes_per_token;
  std::optional<double> read_bytes_per_second;
  std::optional<double> read_ceiling;
  std::optional<double> flops;  ///< of the whole test
  std::optional<double> flops_per_second;
  std::optional<double> flops_ceiling;
  std::optional<MatmulPath> path;
  std::optional<double> share;  ///< achieved over ceiling
};
BenchShare share_of_ceiling(const BenchResult& result);

}  // namespace strata::apps
