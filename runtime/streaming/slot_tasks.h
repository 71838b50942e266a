#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "runtime/core/device.h"
#include "runtime/streaming/slot_observer.h"

namespace strata {

/// Tells an observer, if there is one, in the order of a stream what becomes of slots. What streams
/// were told of outlives their work.
class SlotTasks {
 public:
  using Moment = void (SlotObserver::*)(int slot, std::span<std::byte> memory);

  /// `observer` may be null: nothing is told then. Slots are numbered from `first` on.
  SlotTasks(SlotObserver* observer, int first) : observer_(observer), first_(first) {}

  /// A new slot, which holds nothing; returns its place for tell().
  std::size_t add(std::span<std::byte> memory) {
    if (observer_ == nullptr) return 0;
    const int slot = first_ + static_cast<int>(tasks_.size() / 3);
    for (const Moment moment :
         {&SlotObserver::on_free, &SlotObserver::on_fill, &SlotObserver::on_filled})
      tasks_.push_back({observer_, slot, memory, moment});
    observer_->on_free(slot, memory);
    return tasks_.size() / 3 - 1;
  }
  /// Its bytes are no longer wanted, and others are on their way to it.
  void fill(Stream& stream, std::size_t slot) {
    tell(stream, slot, 0);
    tell(stream, slot, 1);
  }
  /// It may be read.
  void filled(Stream& stream, std::size_t slot) { tell(stream, slot, 2); }

 private:
  struct Task {
    SlotObserver* observer;
    int slot;
    std::span<std::byte> memory;
    Moment moment;
    static void run(void* context) {
      const auto& task = *static_cast<const Task*>(context);
      (task.observer->*task.moment)(task.slot, task.memory);
    }
  };
  void tell(Stream& stream, std::size_t slot, std::size_t moment) {
    if (observer_ != nullptr) stream.host_task({&Task::run, &tasks_[3 * slot + moment]});
  }

  SlotObserver* observer_;
  int first_;
  std::deque<Task> tasks_;  // which stay where they are
};

}  // namespace strata
