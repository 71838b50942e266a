#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/streaming/block_reader.h"

namespace strata {

/// Reads units that are asked for at the last moment, several at a time: one read alone does not
/// keep a disk busy. Each slot is read into by one unit at a time, and finish() follows every
/// start(). Used by one thread, beside its own threads; asking allocates nothing.
class ReadCrew {
 public:
  /// Units of at most kMostExpertMatrices parts. `reader` and the slots' memory are borrowed. With
  /// 0 threads reads are done in start(). `prepare`: the reader registers the slots, which is for
  /// a few of them.
  ReadCrew(BlockReader& reader, std::vector<std::span<std::byte>> slots, int threads,
           bool prepare = true);
  ~ReadCrew();
  ReadCrew(const ReadCrew&) = delete;
  ReadCrew& operator=(const ReadCrew&) = delete;

  std::size_t slots() const { return jobs_.size(); }
  std::span<std::byte> slot(std::size_t index) const { return jobs_[index].memory; }

  /// Begins to read `unit`, which stays where it is until finish().
  void start(std::size_t slot, const StreamUnit& unit);
  /// Waits for it; where each part lies. Throws the reader's error.
  std::span<const std::byte* const> finish(std::size_t slot);
  /// Waits for it and forgets it, in place of finish().
  void abandon(std::size_t slot) noexcept;

 private:
  enum class State : std::uint8_t { idle, waiting, reading, done };
  struct Job {
    std::span<std::byte> memory;
    const StreamUnit* unit = nullptr;
    State state = State::idle;
    std::exception_ptr error;
    std::array<const std::byte*, kMostExpertMatrices> places{};
  };
  void read(Job& job);
  void work(std::stop_token stop);
  Job* next();

  BlockReader& reader_;
  std::vector<Job> jobs_;
  std::vector<std::size_t> waiting_;  // jobs in the order of start(): a ring as long as jobs_
  std::size_t first_waiting_ = 0;
  std::size_t waiting_count_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::jthread> threads_;
};

}  // namespace strata
