#pragma once

#include <cstdint>
#include <memory>

#include "backends/vulkan/api.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

class VulkanDevice;
struct StreamState;

/// Counters of a stream that computes.
inline constexpr std::int64_t kTickets = 8192;

/// Work is recorded into a command buffer; flush() submits it. A ticket is a value of the stream's
/// timeline semaphore.
class VulkanStream final : public Stream {
 public:
  VulkanStream(VulkanDevice& device, StreamRole role);
  ~VulkanStream() override;

  void copy(BufferSpan dst, BufferSpan src) override;
  void fill(BufferSpan span, std::byte value) override;
  void host_task(HostTask task) override;
  Event record() override;
  void wait(const Event& event) override;
  bool reached(std::uint64_t ticket) const override;
  void await(std::uint64_t ticket) override;
  void flush() override;
  void synchronize() override;
  void* native() override;
  bool can_record() const override { return true; }
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;
  void replay(const Recording& recording) override;

  /// Records x * y * z work groups, which see all that was recorded before them and whose results
  /// all later work sees. Nothing is recorded when a count is 0. `push` is copied.
  void dispatch(VkPipeline pipeline, const void* push, std::uint32_t push_bytes, std::uint32_t x,
                std::uint32_t y = 1, std::uint32_t z = 1);

  VulkanDevice& device() const;

  /// The address of kTickets 32-bit counters, which are zero before and after every dispatch; 0
  /// where the stream does not compute. Work of other streams leaves them alone.
  std::uint64_t tickets() const;

 private:
  std::unique_ptr<StreamState> state_;
};

}  // namespace strata::vulkan
