#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/ops/op_impl.h"
#include "runtime/streaming/unit_feed.h"

namespace strata {

/// Weights that come to the device just in time. The matrices of ops are registered in the order in
/// which a step uses them, which is the order in which they are read, again and again: during a
/// step's last ops the first units of the next one are on their way. Units arrive as the file has
/// them (UnitFeed) and are packed by the compute stream where the kernels want that.
///
/// Used by one thread. The Device outlives it.
class StreamedWeights final : public WeightSource {
 public:
  /// BlockId::tensor of all blocks: a source that is used beside another is told by it.
  static constexpr std::uint32_t kTensor = 0x80000000u;

  StreamedWeights(Device& device, const StreamSettings& settings)
      : device_(device), settings_(settings) {}

  /// Registers the matrices of an op and returns the blocks of each. An op of another batch size
  /// that reads the same matrices together gets the same blocks. `pinned`: the bytes stay in pinned
  /// host memory once they are read. Throws Error{unsupported_op}.
  std::vector<std::vector<BlockId>> add_op(std::span<const StreamedMatrix> matrices, bool pinned);

  bool empty() const { return units_.empty(); }
  std::span<const SweepUnit> units() const { return units_; }
  /// Memory that load() takes: on the device slots, the packed buffer and packing's workspace.
  FeedMemory memory() const;

  /// Takes the memory, reads what is pinned and begins to read the rest. `observer` may be null.
  /// Throws Error{out_of_memory}, Error{io}.
  void load(std::unique_ptr<BlockReader> reader, SlotObserver* observer = nullptr);

  /// Throws the readers' Error{io}; restart() comes before the next use.
  Lease acquire(BlockId block, Stream& compute) override;
  void release(const Lease& lease, const Event& last_use) override;
  /// Begins the sweep again after a step that did not end. No stream is at work.
  void restart();
  StreamStats stats() const;

 private:
  struct Block {
    std::uint32_t unit = 0;
    std::uint32_t part = 0;
  };
  // A unit in the executor's hands.
  struct Held {
    UnitFeed::Fed fed;
    Stream* compute = nullptr;
    std::size_t released = 0;  // parts
  };
  // What packs parts of one description, prepared once.
  struct Packer {
    TensorDesc from;
    PreparedOp op;
  };

  std::vector<std::vector<BlockId>> blocks_of(std::uint32_t first_unit, std::uint32_t units,
                                              std::size_t matrices);
  std::size_t packed_bytes() const;
  std::size_t workspace_bytes() const;
  void prepare_packs(SweepUnit& unit);
  Held& hold(std::uint32_t unit, Stream& compute);
  void pack(const Held& held, Stream& compute);

  Device& device_;
  StreamSettings settings_;
  std::vector<SweepUnit> units_;
  std::vector<bool> pinned_;  ///< by unit
  std::vector<Block> blocks_;
  struct OpBlocks {
    std::size_t matrices;
    std::vector<std::vector<BlockId>> blocks;
  };
  /// By where the op's first matrix is in the file, and its layout.
  std::map<std::tuple<std::uint32_t, std::uint64_t, Layout>, OpBlocks> ops_;
  std::vector<Packer> packers_;
  Buffer packed_;
  Buffer workspace_;
  std::unique_ptr<UnitFeed> feed_;
  std::vector<Held> held_;  ///< one, or two where an op reads an op's matrices one by one
};

}  // namespace strata
