#include "runtime/streaming/link_probe.h"

#include <fmt/format.h>

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
constexpr int kCopyRounds = 4;
constexpr std::size_t kCopyBytes = std::size_t{64} << 20;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// The units of one turn, dealt to the threads as they come.
class Turn {
 public:
  Turn(BlockReader& reader, std::span<const StreamUnit> sweep, std::size_t first,
       std::size_t stride, double seconds)
      : reader_(reader), sweep_(sweep), first_(first), stride_(stride), seconds_(seconds) {}

  /// Reads until the time or the units are over.
  void run(std::span<const std::span<std::byte>> slots) {
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < slots.size(); ++i)
      threads.emplace_back([this, slot = slots[i], begin] { work(slot, begin); });
    work(slots[0], begin);
    for (std::thread& thread : threads) thread.join();
    spent_ = seconds_since(begin);
    if (error_) std::rethrow_exception(error_);
  }
  std::uint64_t bytes() const { return bytes_.load(); }
  double spent() const { return spent_; }

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
  std::mutex mutex_;
  std::exception_ptr error_;
  double spent_ = 0;
};

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
  std::array<std::unique_ptr<BlockReader>, kMethods.size()> readers;
  std::array<std::uint64_t, kMethods.size()> bytes{};
  std::array<double, kMethods.size()> seconds{};
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    readers[m] = open_reader(file, kMethods[m], options.reader);
    readers[m]->prepare(slots);
  }
  // Methods read different units where there are enough of them for every thread in every turn.
  const std::size_t apart = kMethods.size() * kTurns;
  const std::size_t stride = sweep.size() >= apart * threads ? apart : 1;
  for (std::size_t turn = 0; turn < kTurns; ++turn) {
    for (std::size_t m = 0; m < kMethods.size(); ++m) {
      const std::size_t first = (turn * kMethods.size() + m) % stride;
      if (options.cold) drop_units(*file, sweep, first, stride);
      Turn measured(*readers[m], sweep, first, stride, options.seconds_per_method / kTurns);
      measured.run(slots.first(threads));
      bytes[m] += measured.bytes();
      seconds[m] += measured.spent();
    }
  }
  ProbedReader result;
  for (std::size_t m = 0; m < kMethods.size(); ++m) {
    const double speed = seconds[m] > 0 ? static_cast<double>(bytes[m]) / seconds[m] : 0;
    result.tried.push_back({kMethods[m], speed, readers[m]->note()});
    if (readers[m]->method() != kMethods[m] || speed <= result.bytes_per_second) continue;
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
