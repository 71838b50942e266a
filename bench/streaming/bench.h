#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/streaming/options.h"
#include "runtime/engine/residency_request.h"

namespace strata::bench {

/// A model with a budget, measured.
struct Row {
  std::uint64_t budget = 0;  ///< of device memory; 0: the whole model
  bool mapping = false;      ///< computed in the mapping's pages; else `budget` 0 is in memory
  std::optional<ResidencyPlan> plan;
  MemoryPlan memory;                ///< of the device
  double token_seconds = 0;         ///< the median of the rounds
  std::optional<double> predicted;  ///< seconds
  std::optional<double> least;      ///< of the slowest link: its bytes by its speed
  std::optional<double> stall;      ///< share of the time that computing waited for weights
  double disk_bytes = 0;            ///< each token
  double upload_bytes = 0;
};

struct Result {
  std::string device;
  std::string model;
  LinkSpeeds links;  ///< the medians of the rounds
  std::vector<Row> rows;
  bool virtual_time = false;
};

/// Measures what the options ask for. Throws Error.
Result measure(const Options& options);

std::string markdown(const Result& result);
std::string json_text(const Result& result);

}  // namespace strata::bench
