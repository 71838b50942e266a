#include <algorithm>
#include <chrono>

#include "backends/vulkan/backend.h"
#include "backends/vulkan/ops/common.h"

namespace strata::vulkan {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{512} << 20;
// A CPU driver's shaders are slower than any cache or memory of the CPU.
constexpr std::uint64_t kSoftwareReadBytes = std::uint64_t{8} << 20;
constexpr std::uint64_t kMemoryPart = 8;  // of what is free
constexpr std::uint64_t kPiece = 16;
constexpr std::uint32_t kThreads = 256;
constexpr std::uint32_t kGroupsPerUnit = 16;
constexpr std::uint32_t kMostRounds = 1U << 22;
constexpr double kEnoughSeconds = 0.008;
constexpr int kRuns = 3;
constexpr double kF32Operations = 64;  // of a round, as the shaders say
constexpr double kInt8Operations = 128;

struct ReadPush {
  Address from;
  Address to;
  std::uint32_t count;
};
struct PeakPush {
  Address to;
  std::uint32_t rounds;
};

class Measurement {
 public:
  explicit Measurement(VulkanDevice& device)
      : device_(device),
        stream_(device, StreamRole::compute),
        result_(device.allocate(kPiece, MemoryKind::device)),
        groups_(static_cast<std::uint32_t>(std::max(device.info().compute_units, 16)) *
                kGroupsPerUnit),
        threads_(std::min(kThreads, device.limits().max_invocations)) {}

  /// Bytes per second of reading memory once.
  double read_rate() {
    const std::uint64_t bytes =
        std::min({device_.info().software ? kSoftwareReadBytes : kReadBytes,
                  device_.memory().free / kMemoryPart, device_.limits().max_buffer_bytes}) /
        kPiece * kPiece;
    const Buffer from = device_.allocate(bytes, MemoryKind::device);
    // Pages never written may all be one page of zeros.
    stream_.fill({from.data(), bytes, from.kind()}, std::byte{0x35});
    const ReadPush push{{reinterpret_cast<std::uint64_t>(from.data())},
                        to(),
                        static_cast<std::uint32_t>(bytes / kPiece)};
    const VkPipeline pipeline = device_.pipeline("ceiling_read", {&threads_, 1});
    double best = seconds(pipeline, push);
    for (int run = 0; run < kRuns; ++run) best = std::min(best, seconds(pipeline, push));
    return static_cast<double>(bytes) / best;
  }

  /// Operations per second of a shader that does `operations` in each round.
  double peak_rate(std::string_view shader, double operations) {
    const VkPipeline pipeline = device_.pipeline(shader, {&threads_, 1});
    PeakPush push{to(), 8};
    double best = seconds(pipeline, push);
    while (best < kEnoughSeconds && push.rounds < kMostRounds) {
      push.rounds *= 2;
      best = seconds(pipeline, push);
    }
    for (int run = 0; run < kRuns; ++run) best = std::min(best, seconds(pipeline, push));
    return operations * push.rounds * groups_ * threads_ / best;
  }

 private:
  Address to() const { return {reinterpret_cast<std::uint64_t>(result_.data())}; }

  template <class Push>
  double seconds(VkPipeline pipeline, const Push& push) {
    using Clock = std::chrono::steady_clock;
    stream_.synchronize();
    const auto begin = Clock::now();
    dispatch(stream_, pipeline, push, groups_);
    stream_.synchronize();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  VulkanDevice& device_;
  VulkanStream stream_;
  Buffer result_;
  std::uint32_t groups_;
  std::uint32_t threads_;
};

}  // namespace

Ceilings measure_ceilings(Device& device) {
  VulkanDevice& vulkan = vulkan_device(device);
  Measurement measurement(vulkan);
  Ceilings ceilings;
  ceilings.read_bytes_per_second = measurement.read_rate();
  ceilings.f32_flops_per_second = measurement.peak_rate("ceiling_f32", kF32Operations);
  if (vulkan.limits().has_fast_int_dot)
    ceilings.int8_ops_per_second = measurement.peak_rate("ceiling_int8", kInt8Operations);
  return ceilings;
}

}  // namespace strata::vulkan
