#include "backends/vulkan/timeline.h"

#include <chrono>
#include <limits>
#include <utility>

namespace strata::vulkan {
namespace {

constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();
// Between two questions to another backend's stream.
constexpr std::chrono::microseconds kPoll{20};

}  // namespace

Timeline::Timeline(Context& context, Queue& queue) : context_(context), queue_(queue) {
  auto type = make<VkSemaphoreTypeCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  auto info = make<VkSemaphoreCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO);
  info.pNext = &type;
  context_.check(
      context_.functions().vkCreateSemaphore(context_.handle(), &info, nullptr, &semaphore_),
      "vkCreateSemaphore");
}

Timeline::~Timeline() {
  if (worker_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    worker_.join();
  }
  wait(last_);
  context_.functions().vkDestroySemaphore(context_.handle(), semaphore_, nullptr);
}

bool Timeline::reached(std::uint64_t ticket) const {
  std::uint64_t value = 0;
  const VkResult result =
      context_.functions().vkGetSemaphoreCounterValue(context_.handle(), semaphore_, &value);
  // A lost device reaches nothing any more: whoever waits learns why from synchronize().
  return result != VK_SUCCESS || value >= ticket;
}

void Timeline::wait(std::uint64_t ticket) const noexcept {
  auto info = make<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &ticket;
  if (ticket == 0) return;
  // What the worker still has is awaited here: drivers are asked only for what is under way.
  if (!submitted(ticket)) {
    std::unique_lock lock(mutex_);
    passed_.wait(lock, [&] { return submitted(ticket); });
  }
  const VkResult result = context_.functions().vkWaitSemaphores(context_.handle(), &info, kForever);
  if (result == VK_SUCCESS) return;
  const std::lock_guard lock(mutex_);
  if (error_ != nullptr) return;
  try {
    context_.check(result, "vkWaitSemaphores");
  } catch (...) {
    error_ = std::current_exception();
  }
}

bool Timeline::can_submit_now(std::span<const Dependency> after) const {
  if (has_host_work()) return false;
  for (const Dependency& dependency : after) {
    if (dependency.timeline == nullptr || &dependency.timeline->context_ != &context_ ||
        !dependency.timeline->submitted(dependency.ticket))
      return false;
  }
  return true;
}

std::uint64_t Timeline::submit(std::span<const VkCommandBuffer> commands,
                               std::span<const Dependency> after) {
  const std::uint64_t ticket = ++last_;
  if (can_submit_now(after)) {
    to_queue(commands, after, ticket);
    submitted_.store(ticket);
  } else {
    enqueue({{commands.begin(), commands.end()}, {after.begin(), after.end()}, {}, ticket});
  }
  return ticket;
}

std::uint64_t Timeline::host_task(HostTask task) {
  const std::uint64_t ticket = ++last_;
  enqueue({{}, {}, task, ticket});
  return ticket;
}

void Timeline::to_queue(std::span<const VkCommandBuffer> commands,
                        std::span<const Dependency> after, std::uint64_t ticket) {
  wait_semaphores_.clear();
  wait_values_.clear();
  wait_stages_.clear();
  for (const Dependency& dependency : after) {
    wait_semaphores_.push_back(dependency.timeline->semaphore_);
    wait_values_.push_back(dependency.ticket);
    wait_stages_.push_back(VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
  }
  auto values =
      make<VkTimelineSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
  values.waitSemaphoreValueCount = static_cast<std::uint32_t>(wait_values_.size());
  values.pWaitSemaphoreValues = wait_values_.data();
  values.signalSemaphoreValueCount = 1;
  values.pSignalSemaphoreValues = &ticket;
  auto info = make<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO);
  info.pNext = &values;
  info.waitSemaphoreCount = static_cast<std::uint32_t>(wait_semaphores_.size());
  info.pWaitSemaphores = wait_semaphores_.data();
  info.pWaitDstStageMask = wait_stages_.data();
  info.commandBufferCount = static_cast<std::uint32_t>(commands.size());
  info.pCommandBuffers = commands.data();
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &semaphore_;
  VkResult result = VK_SUCCESS;
  {
    const std::lock_guard lock(queue_.mutex);
    result = context_.functions().vkQueueSubmit(queue_.handle, 1, &info, VK_NULL_HANDLE);
  }
  if (result != VK_SUCCESS) {
    try {
      context_.check(result, "vkQueueSubmit");
    } catch (...) {
      fail(std::current_exception(), ticket);
    }
  }
}

void Timeline::enqueue(Job job) {
  jobs_left_.fetch_add(1);
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
  wake_.notify_one();
}

void Timeline::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    run(job);
    lock.lock();
    submitted_.store(job.ticket);
    jobs_left_.fetch_sub(1);
    passed_.notify_all();
  }
}

void Timeline::run(const Job& job) {
  std::vector<Dependency> on_device;
  for (const Dependency& dependency : job.after) {
    if (dependency.foreign != nullptr) {
      while (!dependency.foreign->reached(dependency.ticket)) std::this_thread::sleep_for(kPoll);
    } else if (&dependency.timeline->context_ == &context_ &&
               dependency.timeline->submitted(dependency.ticket)) {
      on_device.push_back(dependency);
    } else {
      dependency.timeline->wait(dependency.ticket);
    }
  }
  if (job.task.run == nullptr) {
    to_queue(job.commands, on_device, job.ticket);
    return;
  }
  wait(job.ticket - 1);
  try {
    job.task.run(job.task.context);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) error_ = std::current_exception();
  }
  signal(job.ticket);
}

// Whoever waits for the ticket of work that failed goes on; the error is synchronize()'s.
void Timeline::fail(std::exception_ptr error, std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) error_ = std::move(error);
  }
  wait(ticket - 1);
  signal(ticket);
}

void Timeline::signal(std::uint64_t ticket) {
  auto info = make<VkSemaphoreSignalInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO);
  info.semaphore = semaphore_;
  info.value = ticket;
  // It fails with the device only, and then nobody waits.
  context_.functions().vkSignalSemaphore(context_.handle(), &info);
}

void Timeline::throw_error() {
  std::exception_ptr error;
  {
    const std::lock_guard lock(mutex_);
    error = std::exchange(error_, nullptr);
  }
  if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace strata::vulkan
