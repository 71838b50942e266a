#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "backends/vulkan/context.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

class Timeline;

/// Something that a submission must come after: a ticket of another stream.
struct Dependency {
  Timeline* timeline = nullptr;     ///< of a Vulkan stream; else null
  const Stream* foreign = nullptr;  ///< of another backend, which is asked until it is reached
  std::uint64_t ticket = 0;
};

/// A stream's order of work: submissions to its queue and tasks of the host, numbered by a timeline
/// semaphore. What waits for the host (a task before it, a ticket that has not been submitted) is
/// submitted by a thread of its own, so that nothing sits in a queue waiting for work that must go
/// through the same queue. One thread at a time submits.
class Timeline {
 public:
  Timeline(Context& context, Queue& queue);
  /// Waits for all of it.
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// Enqueues; the ticket is reached when all of it has been done. The command buffers live until
  /// then.
  std::uint64_t submit(std::span<const VkCommandBuffer> commands,
                       std::span<const Dependency> after);
  std::uint64_t host_task(HostTask task);

  std::uint64_t last() const { return last_; }  ///< ticket; of the thread that submits
  bool reached(std::uint64_t ticket) const;
  /// Until `ticket` is reached or the stream has failed.
  void wait(std::uint64_t ticket) const noexcept;
  /// Whether a queue has it, or it is reached: a device may then wait for it.
  bool submitted(std::uint64_t ticket) const { return ticket <= submitted_.load(); }
  /// Whether a task of the host is among what has not been done.
  bool has_host_work() const { return jobs_left_.load() != 0; }
  /// Throws the first error since the last call.
  void throw_error();

  Context& context() const { return context_; }
  Queue& queue() const { return queue_; }

 private:
  struct Job {
    std::vector<VkCommandBuffer> commands;
    std::vector<Dependency> after;
    HostTask task;
    std::uint64_t ticket = 0;
  };
  bool can_submit_now(std::span<const Dependency> after) const;
  void to_queue(std::span<const VkCommandBuffer> commands, std::span<const Dependency> after,
                std::uint64_t ticket);
  void enqueue(Job job);
  void work();
  void run(const Job& job);
  void fail(std::exception_ptr error, std::uint64_t ticket);
  void signal(std::uint64_t ticket);

  Context& context_;
  Queue& queue_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
  std::uint64_t last_ = 0;
  std::atomic<std::uint64_t> submitted_{0};
  std::atomic<std::uint64_t> jobs_left_{0};
  std::vector<VkSemaphore> wait_semaphores_;  // kept so that submitting allocates nothing
  std::vector<std::uint64_t> wait_values_;
  std::vector<VkPipelineStageFlags> wait_stages_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;            ///< a job, or the end
  mutable std::condition_variable passed_;  ///< submitted_ has grown by a job
  std::deque<Job> jobs_;
  bool stop_ = false;
  mutable std::exception_ptr error_;
  std::thread worker_;  // started by the first job
};

}  // namespace strata::vulkan
