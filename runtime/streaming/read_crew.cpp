#include "runtime/streaming/read_crew.h"

#include <utility>

namespace strata {

ReadCrew::ReadCrew(BlockReader& reader, std::vector<std::span<std::byte>> slots, int threads,
                   bool prepare)
    : reader_(reader), waiting_(slots.size()) {
  if (prepare) reader_.prepare(slots);
  for (const std::span<std::byte> slot : slots) jobs_.emplace_back().memory = slot;
  for (int i = 0; i < threads; ++i)
    threads_.emplace_back([this](std::stop_token stop) { work(std::move(stop)); });
}

ReadCrew::~ReadCrew() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void ReadCrew::read(Job& job) {
  try {
    reader_.read(*job.unit, job.memory, {job.places.data(), job.unit->parts.size()});
  } catch (...) {
    job.error = std::current_exception();
  }
}

void ReadCrew::start(std::size_t slot, const StreamUnit& unit) {
  Job& job = jobs_[slot];
  job.unit = &unit;
  if (threads_.empty()) {
    read(job);
    job.state = State::done;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_[(first_waiting_ + waiting_count_++) % waiting_.size()] = slot;
    job.state = State::waiting;
  }
  changed_.notify_all();
}

std::span<const std::byte* const> ReadCrew::finish(std::size_t slot) {
  Job& job = jobs_[slot];
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return job.state == State::done; });
  job.state = State::idle;
  if (job.error) std::rethrow_exception(std::exchange(job.error, nullptr));
  return {job.places.data(), job.unit->parts.size()};
}

void ReadCrew::abandon(std::size_t slot) noexcept {
  try {
    (void)finish(slot);
  } catch (...) {
    return;  // somebody else's error is on its way already
  }
}

// The one that has waited longest.
ReadCrew::Job* ReadCrew::next() {
  if (waiting_count_ == 0) return nullptr;
  Job& first = jobs_[waiting_[first_waiting_]];
  first_waiting_ = (first_waiting_ + 1) % waiting_.size();
  --waiting_count_;
  return &first;
}

void ReadCrew::work(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    Job* job = nullptr;
    if (!changed_.wait(lock, stop, [&] { return (job = next()) != nullptr; })) return;
    job->state = State::reading;
    lock.unlock();
    read(*job);
    lock.lock();
    job->state = State::done;
    changed_.notify_all();
  }
}

}  // namespace strata
