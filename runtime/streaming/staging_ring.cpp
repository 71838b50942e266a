#include "runtime/streaming/staging_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "runtime/core/direct_file.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr const char* kSubject = "staging ring";

std::uint64_t nanoseconds_since(std::chrono::steady_clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin)
          .count());
}

}  // namespace

StagingRing::StagingRing(BlockReader& reader, std::span<const StreamUnit> sweep,
                         std::vector<std::span<std::byte>> slots, int threads)
    : reader_(reader),
      timeline_(reader.timeline()),
      sweep_(sweep),
      slots_(slots.size()),
      order_(slots.size()) {
  std::size_t most_parts = 0;
  for (const StreamUnit& unit : sweep_) most_parts = std::max(most_parts, unit.parts.size());
  free_.reserve(slots.size());
  for (std::size_t i = slots.size(); i-- > 0;) {
    slots_[i].bytes = slots[i];
    slots_[i].places.resize(most_parts);
    free_.push_back(static_cast<std::uint32_t>(i));
  }
  check_slots();
  reader_.prepare(slots);
  if (timeline_ != nullptr) timeline_->begin(sweep_, slots_.size());
  start_threads(threads);
}

StagingRing::~StagingRing() { stop_threads(); }

void StagingRing::check_slots() const {
  if (sweep_.empty() || slots_.empty())
    throw Error(
        ErrorCode::runtime, kSubject,
        fmt::format("{} units and {} slots: it needs some of both", sweep_.size(), slots_.size()));
  std::uint64_t largest = 0;
  for (const StreamUnit& unit : sweep_) largest = std::max(largest, BlockReader::slot_bytes(unit));
  for (const Slot& slot : slots_) {
    if (slot.bytes.size() < largest)
      throw Error(ErrorCode::runtime, kSubject,
                  fmt::format("the largest unit needs {} bytes, and a slot has {}", largest,
                              slot.bytes.size()));
    if (reinterpret_cast<std::uintptr_t>(slot.bytes.data()) % DirectFile::kAlignment != 0)
      throw Error(ErrorCode::runtime, kSubject,
                  fmt::format("a slot is not aligned to {} bytes", DirectFile::kAlignment));
  }
}

void StagingRing::start_threads(int threads) {
  // A reader without a slot would only wait.
  const std::size_t wanted =
      std::min(static_cast<std::size_t>(std::max(threads, 1)), slots_.size());
  threads_.reserve(wanted);
  try {
    while (threads_.size() < wanted)
      threads_.emplace_back([this, stop = stop_.get_token()] { work(stop); });
  } catch (const std::system_error& error) {
    if (!threads_.empty()) return;  // fewer readers than wanted read the same
    throw Error(ErrorCode::runtime, kSubject,
                fmt::format("cannot start a reader thread: {}", error.what()),
                "raise the limit on threads (ulimit -u)");
  }
}

void StagingRing::stop_threads() {
  {
    const std::lock_guard lock(mutex_);
    stop_.request_stop();
  }
  slot_is_free_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool StagingRing::await_slot(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  const auto may_read = [&] { return !failed_ && !free_.empty(); };
  if (stop.stop_requested() || may_read()) return !stop.stop_requested();
  ++stats_.reader_waits;
  const auto begin = std::chrono::steady_clock::now();
  slot_is_free_.wait(lock, [&] { return stop.stop_requested() || may_read(); });
  stats_.reader_wait_ns += nanoseconds_since(begin);
  return !stop.stop_requested();
}

void StagingRing::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (await_slot(lock, stop)) {
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    const std::uint64_t position = next_read_++;
    const std::uint64_t generation = generation_;
    order_[position % slots_.size()] = index;
    slot.state = State::reading;
    lock.unlock();
    std::exception_ptr error = read_into(slot, position, stop);
    lock.lock();
    if (generation != generation_) {
      slot.state = State::free;
      free_.push_back(index);
      slot_is_free_.notify_one();
      continue;
    }
    slot.state = error ? State::failed : State::ready;
    slot.error = std::move(error);
    failed_ = failed_ || slot.state == State::failed;
    if (position == next_take_) unit_is_there_.notify_one();
  }
}

std::exception_ptr StagingRing::read_into(Slot& slot, std::uint64_t position,
                                          const std::stop_token& stop) {
  const std::size_t index = position % sweep_.size();
  const StreamUnit& unit = sweep_[index];
  try {
    if (index == 0) reader_.begin_sweep();
    reader_.read(unit, slot.bytes, std::span(slot.places).first(unit.parts.size()), stop);
    return nullptr;
  } catch (const Error&) {
    return std::current_exception();
  } catch (const std::exception& error) {
    return std::make_exception_ptr(Error(ErrorCode::runtime, kSubject, error.what()));
  }
}

bool StagingRing::next_is_there() const {
  if (next_take_ == next_read_) return false;
  const State state = slots_[order_[next_take_ % slots_.size()]].state;
  return state == State::ready || state == State::failed;
}

StagingRing::Taken StagingRing::take_next() {
  const std::uint32_t index = order_[next_take_ % slots_.size()];
  Slot& slot = next_slot();
  if (slot.state == State::failed) {
    thrown_ = true;
    std::rethrow_exception(slot.error);
  }
  const auto number = static_cast<std::uint32_t>(next_take_ % sweep_.size());
  const StreamUnit& unit = sweep_[number];
  ++next_take_;
  if (timeline_ != nullptr) timeline_->take();
  slot.state = State::taken;
  ++taken_;
  ++stats_.units;
  stats_.bytes += unit.bytes();
  return {number, index, std::span(slot.places).first(unit.parts.size())};
}

void StagingRing::require_restarted() const {
  if (thrown_)
    throw Error(ErrorCode::runtime, kSubject, "a read failed, and restart() was not called");
}

void StagingRing::await_next(std::unique_lock<std::mutex>& lock) {
  if (taken_ == slots_.size())
    throw Error(ErrorCode::runtime, kSubject,
                fmt::format("all {} slots are taken: the next unit can never come", taken_));
  if (timeline_ != nullptr) {
    const std::int64_t waited_ns = timeline_->await();
    stats_.consumer_waits += waited_ns > 0 ? 1 : 0;
    stats_.io_wait_ns += static_cast<std::uint64_t>(waited_ns);
    unit_is_there_.wait(lock, [&] { return next_is_there(); });
    return;
  }
  if (next_is_there()) return;
  ++stats_.consumer_waits;
  const auto begin = std::chrono::steady_clock::now();
  unit_is_there_.wait(lock, [&] { return next_is_there(); });
  stats_.io_wait_ns += nanoseconds_since(begin);
}

// What counts is whether it can be read now, not whether it could be when it was read ahead.
void StagingRing::read_again(std::unique_lock<std::mutex>& lock) {
  Slot& slot = next_slot();
  if (slot.state != State::failed) return;
  ++stats_.read_again;
  slot.state = State::reading;
  const auto begin = std::chrono::steady_clock::now();
  lock.unlock();
  std::exception_ptr error = read_into(slot, next_take_, stop_.get_token());
  lock.lock();
  stats_.io_wait_ns += nanoseconds_since(begin);
  slot.state = error ? State::failed : State::ready;
  slot.error = std::move(error);
  failed_ = std::ranges::any_of(slots_, [](const Slot& s) { return s.state == State::failed; });
  if (!failed_) slot_is_free_.notify_all();
}

std::optional<StagingRing::Taken> StagingRing::try_take() {
  std::unique_lock lock(mutex_);
  require_restarted();
  if (timeline_ != nullptr) {
    if (!timeline_->is_done()) return std::nullopt;
    unit_is_there_.wait(lock, [&] { return next_is_there(); });
  }
  if (!next_is_there() || next_slot().state == State::failed) return std::nullopt;
  return take_next();
}

StagingRing::Taken StagingRing::take() {
  std::unique_lock lock(mutex_);
  require_restarted();
  await_next(lock);
  read_again(lock);
  return take_next();
}

void StagingRing::give_back(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  if (slot >= slots_.size() || slots_[slot].state != State::taken)
    throw Error(ErrorCode::runtime, kSubject,
                fmt::format("slot {} of {} is given back and was not taken", slot, slots_.size()));
  slots_[slot].state = State::free;
  --taken_;
  free_.push_back(slot);
  if (timeline_ != nullptr) timeline_->give_back();
  slot_is_free_.notify_one();
}

void StagingRing::restart(std::uint32_t first) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  ++stats_.restarts;
  next_read_ = first;
  next_take_ = first;
  if (timeline_ != nullptr) timeline_->restart(first);
  failed_ = false;
  thrown_ = false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state != State::ready && slot.state != State::failed) continue;
    slot.state = State::free;
    slot.error = nullptr;
    free_.push_back(static_cast<std::uint32_t>(i));
  }
  slot_is_free_.notify_all();
}

RingStats StagingRing::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace strata
