#include "bench/kernels/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "backends/cpu/kernels/ceilings.h"
#include "runtime/core/cpu_cache.h"

namespace strata::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRotatedBytes = std::size_t{128} << 20;
constexpr std::size_t kRotatedCaches = 4;  // times the last-level caches
constexpr double kSampleSeconds = 0.004;
constexpr int kLeastRounds = 5;
constexpr int kProbeRuns = 4;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// One round: two ceilings, then the work.
struct Round {
  double read;
  double peak;
  double seconds;
};

double least_seconds(const Work& work, double read, double peak) {
  const double reading = read > 0 ? work.bytes / read : 0;
  const double multiplying = peak > 0 ? work.operations / peak : 0;
  return std::max(reading, multiplying);
}

Row summary(const Work& work, const std::vector<Round>& rounds) {
  Row row;
  row.work = work;
  row.best_seconds = rounds.front().seconds;
  std::vector<double> seconds;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    const Round& round = rounds[i];
    // Bandwidth moves: what it was on both sides of the sample.
    const double after = rounds[std::min(i + 1, rounds.size() - 1)].read;
    row.best_seconds = std::min(row.best_seconds, round.seconds);
    row.read_bytes_per_second = std::max(row.read_bytes_per_second, round.read);
    row.peak_per_second = std::max(row.peak_per_second, round.peak);
    seconds.push_back(round.seconds);
    ratios.push_back(least_seconds(work, (round.read + after) / 2, round.peak) / round.seconds);
  }
  row.median_seconds = median(seconds);
  const double least = least_seconds(work, row.read_bytes_per_second, row.peak_per_second);
  row.read_bound = work.bytes / row.read_bytes_per_second >= least;
  row.best_ratio = least / row.best_seconds;
  row.median_ratio = median(ratios);
  return row;
}

}  // namespace

Bench::Bench(const Options& options)
    : options_(options),
      device_({options.threads, options.isa.empty() ? nullptr : options.isa.c_str()}),
      read_buffer_(cpu::allocate_read_buffer(device_)),
      rotated_bytes_(std::max(kRotatedBytes, kRotatedCaches * last_level_cache_bytes())) {
  double best = 0;
  for (int i = 0; i < cpu::kReadShapes * kProbeRuns; ++i) {
    const int shape = i % cpu::kReadShapes;
    const double rate =
        cpu::sample_read(device_, {read_buffer_.data(), read_buffer_.bytes()}, shape);
    if (rate > best) read_shape_ = shape;
    best = std::max(best, rate);
  }
  ceilings_.read_bytes_per_second = best;
  ceilings_.int8_ops_per_second = cpu::sample_peak(device_, &cpu::Kernels::peak_int8);
  ceilings_.bf16_flops_per_second = cpu::sample_peak(device_, &cpu::Kernels::peak_bf16);
  ceilings_.f32_flops_per_second = cpu::sample_peak(device_, &cpu::Kernels::peak_f32);
}

double Bench::sample_read() {
  const std::size_t bytes = read_buffer_.bytes() / 4 / cpu::kReadGrain * cpu::kReadGrain;
  if (read_at_ + bytes > read_buffer_.bytes()) read_at_ = 0;
  const double rate =
      cpu::sample_read(device_, {read_buffer_.data() + read_at_, bytes}, read_shape_);
  read_at_ += bytes;
  ceilings_.read_bytes_per_second = std::max(ceilings_.read_bytes_per_second, rate);
  return rate;
}

void Bench::measure_erased(const Work& work, Erased run, const void* context) {
  int at = 0;
  const auto warm = Clock::now();
  run(context, at++);
  const double once = std::max(seconds_since(warm), 1e-7);
  const int runs = std::clamp(static_cast<int>(kSampleSeconds / once), 1, 10'000);
  std::vector<Round> rounds;
  const auto begin = Clock::now();
  while (static_cast<int>(rounds.size()) < kLeastRounds ||
         seconds_since(begin) < options_.seconds) {
    Round round{};
    round.read = sample_read();
    if (work.peak != nullptr) round.peak = cpu::sample_peak(device_, work.peak);
    const auto start = Clock::now();
    for (int i = 0; i < runs; ++i) run(context, at++);
    round.seconds = seconds_since(start) / runs;
    rounds.push_back(round);
  }
  rows_.push_back(summary(work, rounds));
  const Row& row = rows_.back();
  double* const peak = work.peak_name == "int8"   ? &ceilings_.int8_ops_per_second
                       : work.peak_name == "bf16" ? &ceilings_.bf16_flops_per_second
                                                  : &ceilings_.f32_flops_per_second;
  *peak = std::max(*peak, row.peak_per_second);
  fmt::print(stderr, "{} {} {} x{}: {:.2f}\n", work.op, work.dtype, work.shape, work.batch,
             row.best_ratio);
}

void Bench::skip(const Work& work, std::string why) {
  Row row;
  row.work = work;
  row.skipped = std::move(why);
  rows_.push_back(std::move(row));
}

}  // namespace strata::bench
