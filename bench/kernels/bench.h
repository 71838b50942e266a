#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/ceilings.h"
#include "bench/kernels/options.h"
#include "runtime/ops/op_impl.h"

namespace strata::bench {

/// Something to measure. run(i) does it once on copy `i` of its data (any number: modulo).
struct Work {
  std::string op;
  std::string dtype;
  std::string shape;
  std::int64_t batch = 1;
  std::string kernel;
  double bytes = 0;       ///< that one run reads from memory
  double operations = 0;  ///< of one run, a multiplication and an addition count as two
  cpu::PeakKernel peak = nullptr;
  std::string peak_name;  ///< "int8", "bf16", "f32"
};

/// What came out, with the ceilings of the same rounds.
struct Row {
  Work work;
  double best_seconds = 0;
  double median_seconds = 0;
  double read_bytes_per_second = 0;
  double peak_per_second = 0;
  bool read_bound = false;  ///< reading takes longer than multiplying, at the ceilings
  double best_ratio = 0;    ///< time that the machine needs at best / best time
  double median_ratio = 0;  ///< median over the rounds, each with its own ceilings
  std::string skipped;      ///< why there is no figure
};

/// The device, the memory that ceilings are read from, and the rows so far.
class Bench {
 public:
  explicit Bench(const Options& options);

  /// Measures in rounds of one ceiling for reading, one for multiplying and one sample of `run`.
  template <class Run>
  void measure(const Work& work, const Run& run) {
    measure_erased(
        work, [](const void* context, int i) { (*static_cast<const Run*>(context))(i); }, &run);
  }
  void skip(const Work& work, std::string why);

  cpu::CpuDevice& device() { return device_; }
  const Options& options() const { return options_; }
  const std::vector<Row>& rows() const { return rows_; }
  /// Best of all rounds so far.
  const Ceilings& ceilings() const { return ceilings_; }
  /// Memory that rotated copies of data should fill together, so that no cache holds them.
  std::size_t rotated_bytes() const { return rotated_bytes_; }

 private:
  using Erased = void (*)(const void* context, int i);
  void measure_erased(const Work& work, Erased run, const void* context);
  double sample_read();

  Options options_;
  cpu::CpuDevice device_;
  Buffer read_buffer_;
  std::size_t read_at_ = 0;
  int read_shape_ = 0;
  std::size_t rotated_bytes_;
  Ceilings ceilings_;
  std::vector<Row> rows_;
};

void bench_matmuls(Bench& bench);
void bench_attention(Bench& bench);
void bench_barrier(Bench& bench);

/// A Markdown table of the rows, or one JSON object with the machine and the build.
std::string markdown(const Bench& bench);
std::string json_text(const Bench& bench);

}  // namespace strata::bench
