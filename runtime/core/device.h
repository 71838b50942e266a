#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace strata {

struct OpTable;  // runtime/ops/op_impl.h

/// `sim` wraps another device for tests (backends/sim); `simt_host` runs the kernels of CUDA and
/// HIP on the CPU, and is in test programs only.
enum class BackendKind : std::uint8_t { cpu, cuda, hip, vulkan, sim, simt_host };
std::string_view backend_name(BackendKind backend);

/// One physical executor; prints as "cuda:0".
struct DeviceId {
  BackendKind backend = BackendKind::cpu;
  int index = 0;
  friend constexpr bool operator==(const DeviceId&, const DeviceId&) = default;
};
std::string to_string(const DeviceId& id);
/// "cuda:1", or "cuda" for the first of its kind; empty when the text names no device that users
/// can ask for.
std::optional<DeviceId> device_id_of(std::string_view name);

enum class MemoryKind : std::uint8_t { device, pinned, host };
enum class StreamRole : std::uint8_t { compute, upload, download };

/// What a device is; fixed for its lifetime.
struct DeviceInfo {
  DeviceId id;
  std::string name;                  ///< as the vendor writes it
  std::string arch;                  ///< instruction set in use: "avx512", "sm_90a", "gfx942"
  std::uint64_t memory_bytes = 0;    ///< what allocations may use in all (cgroup limits counted)
  bool unified = false;              ///< host memory is device memory
  int lanes = 1;                     ///< SIMD or subgroup width in f32 elements
  int compute_units = 1;             ///< threads, SMs or CUs
  std::uint64_t max_view_bytes = 0;  ///< largest range that one operand may span; 0 = no limit
  bool software = false;             ///< a GPU played by the CPU: used only where it is asked for
  std::string driver;                ///< its name and version, as users know them; may be empty
};

/// What a device could at best do, measured; 0 where its kernels have nothing of the kind.
struct Ceilings {
  double read_bytes_per_second = 0;  ///< of memory that no cache holds
  double int8_ops_per_second = 0;    ///< a multiplication and an addition count as two
  double bf16_flops_per_second = 0;
  double f32_flops_per_second = 0;
};

/// Bytes of the device's memory.
struct MemoryUse {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
  std::uint64_t ours = 0;  ///< allocated through this Device and alive
};

/// Move-only owner of a range of device, pinned or host memory. The Device outlives its Buffers.
class Buffer {
 public:
  using Release = void (*)(void* owner, std::byte* data, std::size_t bytes);

  Buffer() = default;
  Buffer(std::byte* data, std::size_t bytes, MemoryKind kind, Release release, void* owner)
      : data_(data), bytes_(bytes), kind_(kind), release_(release), owner_(owner) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Buffer() {
    if (release_ != nullptr) release_(owner_, data_, bytes_);
  }

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  MemoryKind kind() const { return kind_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(kind_, other.kind_);
    std::swap(release_, other.release_);
    std::swap(owner_, other.owner_);
  }
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  MemoryKind kind_ = MemoryKind::host;
  Release release_ = nullptr;
  void* owner_ = nullptr;
};

/// A borrowed range of memory as a stream's copies see it.
struct BufferSpan {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  MemoryKind kind = MemoryKind::host;
};

class Stream;

/// A point on a stream's timeline: reached once everything enqueued before it has finished.
struct Event {
  const Stream* stream = nullptr;
  std::uint64_t ticket = 0;
};

/// Work for the host in stream order. `context` stays alive until the task has run.
struct HostTask {
  void (*run)(void* context) = nullptr;
  void* context = nullptr;
};

/// Work that was enqueued once to be replayed: a CUDA graph, command buffers. It and what its work
/// reads and writes live until the last replay has finished.
class Recording {
 public:
  virtual ~Recording() = default;
};

/// An in-order queue of work. Calls enqueue and return; one thread at a time uses a stream. The
/// first asynchronous error is thrown by synchronize().
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void copy(BufferSpan dst, BufferSpan src) = 0;  ///< src.bytes bytes; dst holds as many
  virtual void fill(BufferSpan span, std::byte value) = 0;
  virtual void host_task(HostTask task) = 0;
  virtual Event record() = 0;
  virtual void wait(const Event& event) = 0;
  virtual bool reached(std::uint64_t ticket) const = 0;
  /// Waits until that ticket of this stream is reached; throws the stream's first error.
  virtual void await(std::uint64_t ticket);
  virtual void flush() = 0;
  virtual void synchronize() = 0;
  /// cudaStream_t, hipStream_t or VkQueue, for NCCL and RCCL only; null on the CPU.
  virtual void* native() = 0;

  /// Whether the four below can be used; else calling them is an error of the caller.
  virtual bool can_record() const { return false; }
  /// Until end_recording(), copies, fills and ops are recorded and not run. Nothing else is called
  /// then but record(), whose events are those of the last work that was enqueued.
  virtual void begin_recording();
  virtual std::unique_ptr<Recording> end_recording();
  /// Enqueues the recorded work. What varies from step to step is in memory that it reads.
  virtual void replay(const Recording& recording);
};

/// One physical executor. Thread-safe but for memory counters, which are a snapshot.
class Device {
 public:
  virtual ~Device() = default;
  const DeviceInfo& info() const { return info_; }
  virtual MemoryUse memory() const = 0;
  /// 64-byte aligned at least, not cleared. Throws Error{out_of_memory} with the numbers.
  virtual Buffer allocate(std::size_t bytes, MemoryKind kind) = 0;
  /// Zero-copy use of mapped pages where the device can; the bytes outlive the Buffer.
  virtual std::optional<Buffer> import_host(std::span<const std::byte> bytes) = 0;
  virtual std::unique_ptr<Stream> open_stream(StreamRole role) = 0;
  virtual const OpTable& ops() const = 0;

 protected:
  DeviceInfo info_;
};

}  // namespace strata
