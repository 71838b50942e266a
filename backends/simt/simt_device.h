#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "runtime_api.h"

namespace strata::STRATA_SIMT {

/// What an op's prepare() asks of the device to choose its kernel.
struct SimtLimits {
  int lanes = 32;
  std::size_t shared_bytes = 0;  ///< the most dynamic shared memory that one block may have
  int compute_units = 1;
  bool has_bf16_tiles = false;  ///< matrix instructions on bf16
  bool can_overlap = false;     ///< launch_overlapped() gains something
};

/// A GPU through its vendor's runtime. Memory comes from the device's stream-ordered pool.
class SimtDevice final : public Device {
 public:
  /// Device `index` of the vendor's runtime. Throws Error{device_missing} when it cannot be used.
  explicit SimtDevice(int index);
  SimtDevice(const SimtDevice&) = delete;
  SimtDevice& operator=(const SimtDevice&) = delete;
  ~SimtDevice() override;

  MemoryUse memory() const override;
  Buffer allocate(std::size_t bytes, MemoryKind kind) override;
  std::optional<Buffer> import_host(std::span<const std::byte> bytes) override;
  std::unique_ptr<Stream> open_stream(StreamRole role) override;
  const OpTable& ops() const override;

  const SimtLimits& limits() const { return limits_; }
  /// Makes this the device of the vendor's calls on this thread.
  void activate() const;
  /// Throws Error{runtime} (out_of_memory for want of memory) when `status` is no success; `what`
  /// says what was asked of the device.
  void check(api::Status status, const char* what) const;

 private:
  void check_code();
  Buffer allocate_device(std::size_t bytes);
  static void release_device(void* owner, std::byte* data, std::size_t bytes);
  static void release_pinned(void* owner, std::byte* data, std::size_t bytes);
  static void release_imported(void* owner, std::byte* data, std::size_t bytes);

  SimtLimits limits_;
  bool has_pools_ = false;
  bool can_register_ = false;
  api::StreamHandle pool_stream_{};  // what orders allocations
  std::atomic<std::uint64_t> allocated_{0};
};

/// What `found` says of device `index`.
DeviceInfo device_info(int index, const Properties& found);

inline SimtDevice& simt_device(Device& device) { return static_cast<SimtDevice&>(device); }

}  // namespace strata::STRATA_SIMT
