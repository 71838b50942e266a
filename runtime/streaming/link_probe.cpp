#include "runtime/streaming/link_probe.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/core/direct_file.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kMethods = {ReadMethod::mapped, ReadMethod::buffered, ReadMethod::direct};
// Each method has this many turns, so that a disk that slows down slows all of them.
constexpr std::size_t kTurns = 2;
constexpr std::uint64_t kSmallUnit = std::uint64_t{1} << 18;  // as small as units of a stream get
constexpr std::size_t kSmallPieces = 8;                       // of each unit, one after the other
constexpr int kCopyRounds = 4;
constexpr std::size_t kCopyBytes = std::size_t{64} << 20;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// CPU time of this process so far, all threads together.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The units of one turn, dealt to the threads as they come.
class Turn {
 public:
  Turn(BlockReader& reader, std::span<const StreamUnit> sweep, std::size_t first,
       std::size_t stride, double seconds)
      : reader_(reader), sweep_(sweep), first_(first), stride_(stride), seconds_(seconds) {}

  /// Reads until the time or the units are over.
  void run(std::span<const std::span<std::byte>> slots) {
    const double cpu_before = cpu_seconds();
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < slots.size(); ++i)
      threads.emplace_back([this, slot = slots[i], begin] { work(slot, begin); });
    work(slots[0], begin);
    for (std::thread& thread : threads) thread.join();
    spent_ = seconds_since(begin);
    cpu_ = cpu_seconds() - cpu_before;
    if (error_) std::rethrow_exception(error_);
  }
  std::uint64_t bytes() const { return bytes_.load(); }
  std::uint64_t units() const { return units_.load(); }
  double spent() const { return spent_; }
  double cpu() const { return cpu_; }

 private:
  void work(std::span<std::byte> slot, Clock::time_point begin) {
    try {
      do {
        const std::size_t index = first_ + stride_ * next_.fetch_add(1);
        if (index >= sweep_.size()) return;
        const StreamUnit& unit = sweep_[index];
        std::vector<const std::byte*> places(unit.parts.size());
        reader_.read(unit, slot, places);
        bytes_.fetch_add(unit.bytes());
        units_.fetch_add(1);
      } while (seconds_since(begin) < seconds_);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
  }

  BlockReader& reader_;
  std::span<const StreamUnit> sweep_;
  std::size_t first_;
  std::size_t stride_;
  double seconds_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> units_{0};
  std::mutex mutex_;
  std::exception_ptr error_;
  double spent_ = 0;
  double cpu_ = 0;
};

/// What a method's turns came to.
struct Sum {
  std::uint64_t bytes = 0;
  std::uint64_t units = 0;
  double seconds = 0;
  double cpu = 0;

  void operator+=(const Turn& turn) {
    bytes += turn.bytes();
    units += turn.units();
    seconds += turn.spent();
    cpu += turn.cpu();
  }
  double speed() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

/// One way of reading, timed on large units and on small ones.
struct Candidate {
  std::unique_ptr<BlockReader> reader;
  Sum large;
  Sum small;

  ProbedMethod result(ReadMethod method) const {
    ProbedMethod probed{method, large.speed(), 0, 0, reader->note()};
    if (large.bytes > 0) probed.cpu_seconds = large.cpu / static_cast<double>(large.bytes);
    if (small.units == 0 || large.bytes == 0) return probed;
    const double beside = small.seconds - static_cast<double>(small.bytes) / large.speed();
    probed.unit_seconds = std::max(0.0, beside / static_cast<double>(small.units));
    return probed;
  }
};

// Small units one after the other, as a stream reads them, out of every unit that is larger.
std::vector<StreamUnit> small_units(std::span<const StreamUnit> sweep) {
  std::vector<StreamUnit> pieces;
  for (const StreamUnit& unit : sweep) {
    const FileRange& whole = unit.parts.front();
    for (std::size_t i = 0; i < kSmallPieces && (i + 1) * kSmallUnit < whole.bytes; ++i)
      pieces.push_back({{{whole.shard, whole.offset + i * kSmallUnit, kSmallUnit}}});
  }
  return pieces;
}

void drop_units(const ModelFile& file, std::span<const StreamUnit> sweep, std::size_t first,
                std::size_t stride) {
  std::vector<DirectFile> files;
  for (const MappedFile& shard : file.shards()) files.push_back(DirectFile::open(shard.path()));
  for (std::size_t i = first; i < sweep.size(); i += stride) {
    for (const FileRange& part : sweep[i].parts) {
      file.shards()[part.shard].dont_need(part.offset, part.bytes);
      files[part.shard].drop_cache(part.offset, part.bytes);
    }
  }
}

}  // namespace

ProbedReader probe_reader(const std::shared_ptr<const ModelFile>& file,
                          std::span<const StreamUnit> sweep,
                          std::span<const std::span<std::byte>> slots, ProbeOptions options) {
  if (sweep.empty() || slots.empty())
    throw Error(ErrorCode::runtime, file->path().string(),
                fmt::format("probing needs units and slots: {} and {} are given", sweep.size(),
                            slots.size()));
  const std::size_t threads =
      std::min(slots.size(), static_cast<std::size_t>(std::max(options.threads, 1)));
  const std::vector<StreamUnit> small = small_units(sweep);
  std::array<Candidate, kMethods.size()> candidates;
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    candidates[m].reader = open_reader(file, kMethods[m], options.reader);
    candidates[m].reader->prepare(slots);
  }
  const std::span<const std::span<std::byte>> used = slots.first(threads);
  const double seconds = options.seconds_per_method / kTurns;
  // Methods read different units where there are enough of them for every thread in every turn.
  const std::size_t apart = kMethods.size() * kTurns;
  const std::size_t stride = sweep.size() >= apart * threads ? apart : 1;
  for (std::size_t turn = 0; turn < apart; ++turn) {
    Candidate& candidate = candidates[turn % kMethods.size()];
    const std::size_t first = turn % stride;
    if (options.cold) drop_units(*file, sweep, first, stride);
    Turn measured(*candidate.reader, sweep, first, stride, seconds);
    measured.run(used);
    candidate.large += measured;
    const std::size_t first_small = turn * small.size() / apart;
    if (options.cold) drop_units(*file, small, first_small, 1);
    Turn quick(*candidate.reader, small, first_small, 1, seconds / 2);
    quick.run(used);
    candidate.small += quick;
  }
  ProbedReader result;
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    result.tried.push_back(candidates[m].result(kMethods[m]));
    const double speed = result.tried.back().bytes_per_second;
    if (candidates[m].reader->method() != kMethods[m] || speed <= result.bytes_per_second) continue;
    result.method = kMethods[m];
    result.bytes_per_second = speed;
  }
  return result;
}

double probe_host_copy() {
  std::vector<std::byte> from(kCopyBytes, std::byte{1});
  std::vector<std::byte> to(kCopyBytes, std::byte{2});
  double best = 0;
  for (int round = 0; round < kCopyRounds; ++round) {
    from[static_cast<std::size_t>(round)] = std::byte{3};  // no two rounds are the same work
    const auto begin = Clock::now();
    std::memcpy(to.data(), from.data(), kCopyBytes);
    best = std::max(best, static_cast<double>(kCopyBytes) / seconds_since(begin));
  }
  return to[0] == std::byte{3} ? best : 0;
}

double probe_upload(Device& device, std::uint64_t bytes) {
  if (device.info().unified) return 0;
  const Buffer from = device.allocate(bytes, MemoryKind::pinned);
  const Buffer to = device.allocate(bytes, MemoryKind::device);
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::upload);
  constexpr int kCopies = 4;  // back to back, so that the start of one hides behind another
  double best = 0;
  std::memset(from.data(), 1, bytes);
  for (int round = 0; round < kCopyRounds; ++round) {
    const auto begin = Clock::now();
    for (int copy = 0; copy < kCopies; ++copy)
      stream->copy({to.data(), bytes, MemoryKind::device},
                   {from.data(), bytes, MemoryKind::pinned});
    stream->flush();
    stream->synchronize();
    best = std::max(best, static_cast<double>(bytes) * kCopies / seconds_since(begin));
  }
  return best;
}

}  // namespace strata
