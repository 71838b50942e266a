#include "runtime/engine/measure_layouts.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/ops/op_impl.h"

namespace strata {
namespace {

constexpr std::uint64_t kMatrix = std::uint64_t{64} << 20;  // what no cache holds
constexpr std::uint64_t kSmallMatrix = std::uint64_t{4} << 20;
constexpr std::int64_t kColumns = 4096;
constexpr std::int64_t kManyTokens = 64;
constexpr int kRounds = 3;
constexpr double kLong = 0.02;  // seconds of a launch

/// A matrix on a device as the file has it and as kernels want it, and activations for it.
class LayoutProbe {
 public:
  /// Throws Error{out_of_memory}, Error{unsupported_op}.
  LayoutProbe(Device& device, const TensorDesc& file, std::int64_t tokens)
      : device_(device), stream_(device.open_stream(StreamRole::compute)) {
    // Halves of these bytes are positive and about one, whatever field of a block they are.
    raw_ = uploaded(
        file, [](std::mt19937& random) { return static_cast<std::byte>(0x34 + random() % 9); });
    x_ = uploaded(
        {DType::F32, Layout::rows, {tokens, file.shape.columns()}},
        [](std::mt19937& random) { return static_cast<float>(random() % 2001) * 1e-3F - 1.0F; });
    // Of both inputs at once: not every pair of layouts has a kernel.
    const PreparedOp wish = prepare_op(device, matmul_of(x_, raw_));
    wanted_ = file;
    wanted_.layout = wish.wanted[1];
    if (wish.wanted[0] != Layout::rows) quantize_x(wish.wanted[0]);
  }

  bool packs() const { return wanted_.layout != Layout::rows; }
  double pack_seconds() { return best_seconds(pack()); }
  double file_seconds() { return best_seconds(file_matmul()); }
  double packed_seconds() { return best_seconds(packed_matmul()); }
  bool same_bits() { return result(file_matmul()) == result(packed_matmul()); }

 private:
  struct Launch {
    PreparedOp op;
    std::vector<TensorView> in;
    TensorView out;
    std::span<std::byte> work;
  };

  static TensorDesc desc_of(const TensorView& view) {
    return {view.dtype, view.layout, view.shape};
  }

  static OpDesc matmul_of(const TensorView& x, const TensorView& w) {
    const TensorDesc y{DType::F32, Layout::rows, {x.rows(), w.rows()}};
    return {Linear{}, {desc_of(x), desc_of(w), {}, {}}, {}, {y}};
  }

  TensorView made(const TensorDesc& desc) {
    memory_.push_back(device_.allocate(byte_size(desc), MemoryKind::device));
    return dense_view(memory_.back().data(), desc);
  }

  // Of values that repeat: making them takes no time to speak of.
  template <class Make>
  TensorView uploaded(const TensorDesc& desc, Make&& make) {
    std::mt19937 random(7);
    std::vector<decltype(make(random))> period(4093);
    for (auto& value : period) value = make(random);
    const std::size_t bytes = byte_size(desc);
    const Buffer staged = device_.allocate(bytes, MemoryKind::pinned);
    const std::size_t step = period.size() * sizeof(period[0]);
    for (std::size_t at = 0; at < bytes; at += step)
      std::memcpy(staged.data() + at, period.data(), std::min(step, bytes - at));
    const TensorView view = made(desc);
    stream_->copy({memory_.back().data(), bytes, MemoryKind::device},
                  {staged.data(), bytes, MemoryKind::pinned});
    stream_->synchronize();
    return view;
  }

  Launch launch(const OpDesc& desc, std::vector<TensorView> in, const TensorView& out) {
    Launch ready{prepare_op(device_, desc), std::move(in), out, {}};
    const std::size_t bytes = ready.op.workspace_bytes;
    if (bytes == 0) return ready;
    memory_.push_back(device_.allocate(bytes, MemoryKind::device));
    ready.work = {memory_.back().data(), bytes};
    return ready;
  }

  void quantize_x(Layout layout) {
    const TensorDesc to{activation_dtype(layout), layout, x_.shape};
    const TensorView quantized = made(to);
    run(launch({Quantize{}, {desc_of(x_)}, {}, {to}}, {x_}, quantized), 1);
    x_ = quantized;
  }

  Launch matmul(const TensorView& w) {
    const OpDesc desc = matmul_of(x_, w);
    return launch(desc, {x_, w, {}, {}}, made(desc.out[0]));
  }
  Launch& file_matmul() {
    if (!file_) file_ = matmul(raw_);
    return *file_;
  }
  Launch& packed_matmul() {
    if (!packed_) packed_ = matmul(pack().out);
    return *packed_;
  }
  Launch& pack() {
    if (pack_) return *pack_;
    pack_ = launch({Pack{}, {desc_of(raw_)}, {}, {wanted_}}, {raw_}, made(wanted_));
    run(*pack_, 1);
    return *pack_;
  }

  void run(const Launch& what, int times) {
    for (int i = 0; i < times; ++i)
      what.op.run(*stream_, what.op, {what.in, {}, {&what.out, 1}}, what.work);
    stream_->flush();
    stream_->synchronize();
  }

  // Two at a time, so that the start of one hides behind the other. Once is enough where it takes
  // long.
  double best_seconds(const Launch& what) {
    double best = 1e9;
    for (int round = 0; round < kRounds && (round == 0 || best < kLong); ++round) {
      const auto begin = std::chrono::steady_clock::now();
      run(what, 2);
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      best = std::min(best, std::max(spent.count() / 2, 1e-9));
    }
    return best;
  }

  std::vector<std::byte> result(const Launch& what) {
    run(what, 1);
    const std::size_t bytes = byte_size(desc_of(what.out));
    const Buffer fetched = device_.allocate(bytes, MemoryKind::pinned);
    stream_->copy({fetched.data(), bytes, MemoryKind::pinned},
                  {what.out.data, bytes, MemoryKind::device});
    stream_->synchronize();
    std::vector<std::byte> copied(bytes);
    std::memcpy(copied.data(), fetched.data(), bytes);
    return copied;
  }

  Device& device_;
  std::unique_ptr<Stream> stream_;
  std::vector<Buffer> memory_;
  TensorDesc wanted_;
  TensorView raw_, x_;
  std::optional<Launch> pack_, file_, packed_;
};

// The types of the model's blocks, those of most bytes first; none where most are no blocks.
std::vector<DType> block_types(const ModelFile& file) {
  std::map<DType, std::uint64_t> bytes;
  for (const TensorInfo& tensor : file.tensors())
    if (const std::optional<DType> dtype = tensor.dtype()) bytes[*dtype] += tensor.bytes;
  std::vector<DType> types;
  for (const auto& [dtype, of_dtype] : bytes) types.push_back(dtype);
  std::ranges::sort(types, std::greater(), [&](DType dtype) { return bytes[dtype]; });
  if (!types.empty() && !is_quantized(types.front())) return {};
  std::erase_if(types, [](DType dtype) { return !is_quantized(dtype); });
  return types;
}

// A matrix of at most so many bytes; of a row at least.
TensorDesc matrix_of(DType dtype, std::int64_t columns, std::uint64_t most_bytes) {
  TensorDesc w{dtype, Layout::rows, {1, columns}};
  w.shape[0] = std::max<std::int64_t>(static_cast<std::int64_t>(most_bytes / byte_size(w)), 1);
  return w;
}

bool same_bits(Device& device, std::span<const DType> types) {
  for (const DType dtype : types)
    for (const std::int64_t columns : {kColumns / 4, kColumns})
      for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{5}, kManyTokens}) {
        const TensorDesc w{dtype, Layout::rows, {72, columns}};
        LayoutProbe probe(device, w, tokens);
        if (probe.packs() && !probe.same_bits()) return false;
      }
  return true;
}

void measure(const Model& model, Device& device, LinkSpeeds& speeds) {
  const std::vector<DType> types = block_types(model.file());
  const std::uint64_t room = device.memory().free / 8;
  if (types.empty() || room < kSmallMatrix / 4) return;
  const bool unified = device.info().unified;
  const std::uint64_t small = std::min(kSmallMatrix, room);
  LayoutProbe first(device, matrix_of(types.front(), kColumns, small), 1);
  if (!first.packs()) return;
  const bool quick = first.file_seconds() < kLong / static_cast<double>(kMatrix / kSmallMatrix);
  const TensorDesc w = matrix_of(types.front(), kColumns, quick ? std::min(kMatrix, room) : small);
  LayoutProbe one(device, w, 1);
  const double bytes = static_cast<double>(byte_size(w));
  const double seconds = one.file_seconds();
  if (unified) {
    speeds.file_layout_read = bytes / seconds;
    return;
  }
  if (!same_bits(device, types)) return;
  speeds.pack = bytes / one.pack_seconds();
  // Relative to what is assumed of the other layout, so that the two compare as they are.
  speeds.file_layout_read = speeds.device_read * one.packed_seconds() / seconds;
  LayoutProbe many(device, matrix_of(types.front(), kColumns, quick ? small : small / 16),
                   kManyTokens);
  speeds.file_layout_flops = speeds.device_flops * many.packed_seconds() / many.file_seconds();
}

}  // namespace

void measure_file_layout(const Model& model, Device& device, LinkSpeeds& speeds) {
  try {
    measure(model, device, speeds);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory && error.code() != ErrorCode::unsupported_op)
      throw;
  }
}

}  // namespace strata
