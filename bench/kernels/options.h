#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"

namespace strata::bench {

/// What to measure, from the command line.
struct Options {
  std::vector<DType> dtypes;  ///< of weights
  std::vector<DType> caches;  ///< of the KV cache
  std::vector<std::int64_t> batches;
  std::vector<std::int64_t> depths;
  std::vector<std::string> shapes;  ///< "model/name" contains one of these; empty: all
  std::vector<std::string> ops;     ///< of "matmul", "attention", "barrier"
  std::string isa;                  ///< "": the best, or STRATA_CPU_ISA
  int threads = 0;
  double seconds = 0.3;  ///< per row
  bool json = false;
  bool help = false;
};

/// Throws Error{usage}.
Options parse_options(int argc, const char* const* argv);

/// Whether `name` ("llama-8b/attn_q") was asked for.
bool wants_shape(const Options& options, const std::string& name);
bool wants_op(const Options& options, const std::string& op);

extern const char kHelp[];

}  // namespace strata::bench
