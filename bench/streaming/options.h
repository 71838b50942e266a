#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/streaming/block_reader.h"

namespace strata::bench {

/// The command line of bench_streaming.
struct Options {
  std::string model;
  std::string device = "cpu";
  std::vector<std::uint64_t> budgets;  ///< of device memory; empty: three quarters, half, a quarter
  std::uint64_t host = 0;              ///< of host memory for the stream; 0: half of what is free
  std::int64_t prompt = 16;            ///< tokens
  std::int64_t tokens = 8;             ///< that are decoded in a round
  std::int64_t rounds = 5;
  double upload = 0;  ///< > 0: of a simulated device with a virtual clock, bytes/s
  double disk = 0;    ///< > 0: the same of its disk; 0: that takes no virtual time
  int threads = 0;
  bool resident = true;  ///< also without streaming
  bool mapping = false;  ///< also computed from the mapping, with nothing kept: mmap alone
  /// How the file is read, if not as it is read fastest.
  std::optional<ReadMethod> method;
  bool json = false;
  bool help = false;
};

extern const char kHelp[];

/// Throws Error{usage}.
Options parse_options(int argc, const char* const* argv);

}  // namespace strata::bench
