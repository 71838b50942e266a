#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/graph/executor.h"
#include "runtime/streaming/streamed_experts.h"

namespace strata::test {

/// Feed-forward layers with experts, random, and the bytes that a file would have of them.
struct MoeLayers {
  std::int64_t layers = 3;
  std::int64_t experts = 8;
  std::int64_t used = 2;
  std::int64_t dim = 64;
  std::int64_t ffn = 96;
  DType gate = DType::Q4_0;  ///< and up
  DType down = DType::Q8_0;
  std::vector<std::byte> file;  ///< filled by make()

  void make(unsigned seed);
  TensorDesc desc(const std::string& name) const;
  FileRange range(std::int64_t layer, const std::string& name) const;
  Graph graph(std::int64_t tokens) const;
};

/// Reads from memory as others do from a file, with the faults that are asked for.
class MemoryReader final : public BlockReader {
 public:
  explicit MemoryReader(const std::vector<std::byte>& file) : file_(file) {}
  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override;
  ReaderStats stats() const override { return {}; }

  std::atomic<std::int64_t> reads{0};
  std::atomic<std::int64_t> failing{-1};  ///< the read of this number, counted from 0, fails

 private:
  const std::vector<std::byte>& file_;
};

/// The experts that launches asked for, before they are looked for.
class RecordedExperts final : public ExpertSource {
 public:
  explicit RecordedExperts(ExpertSource& inside) : inside_(inside) {}
  struct Request {
    std::uint32_t launch;
    std::vector<std::int32_t> wanted;
  };
  std::vector<Request> requests;

  ExpertLease acquire(std::uint32_t launch, std::span<const std::int32_t> wanted,
                      std::span<std::int32_t> slots, Stream& compute) override {
    requests.push_back({launch, {wanted.begin(), wanted.end()}});
    return inside_.acquire(launch, wanted, slots, compute);
  }
  void release(const ExpertLease& lease, const Event& last_use) override {
    inside_.release(lease, last_use);
  }

 private:
  ExpertSource& inside_;
};

/// The layers on a device, with all experts there or with streamed ones.
class MoeRun {
 public:
  struct How {
    std::int64_t slots = 0;  ///< 0: all experts stay on the device
    bool pack = true;
    bool fuse = true;
    int readers = 0;
    std::int64_t kept = 0;             ///< experts that stay in pinned memory
    SlotObserver* observer = nullptr;  ///< of the slots
  };
  static constexpr std::int32_t kTokens = 24;  ///< most tokens of a step

  MoeRun(const MoeLayers& layers, Device& device, How how);
  ~MoeRun();

  /// x (tokens, dim) through all layers.
  std::vector<float> step(const std::vector<float>& x);

  StreamedExperts& experts() { return *experts_; }
  MemoryReader& reader() { return *reader_; }
  const std::vector<RecordedExperts::Request>& requests() const { return recorded_->requests; }

 private:
  class Resident;
  void bind(const Plan& plan, std::int64_t layer, const How& how);

  const MoeLayers& layers_;
  Device& device_;
  std::unique_ptr<Stream> stream_;
  std::vector<Plan> plans_;  // for 1 and for kTokens tokens
  std::unique_ptr<Resident> resident_;
  std::unique_ptr<MemoryReader> reader_;
  std::unique_ptr<StreamedExperts> experts_;
  std::unique_ptr<RecordedExperts> recorded_;
  std::vector<std::vector<WeightBinding>> bindings_;  // by plan and layer
  std::vector<Buffer> buffers_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace strata::test
