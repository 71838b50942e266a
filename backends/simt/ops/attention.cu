#include "backends/simt/attention.h"
#include "backends/simt/attention_matrix.h"
#include "backends/simt/attention_op.h"
#include "backends/simt/attention_split.h"
#include "backends/simt/attention_tile.h"

namespace strata::STRATA_SIMT {
namespace {

// Tokens up to which the context is split: more of them fill the device without.
constexpr std::int64_t kSplitTokens = 16;
static_assert(kOwnQueries <= kSharedHeads, "one block has all heads of a kv head");

using PartKernel = void (*)(AttentionArgs, SplitParts, OwnToken);
using TileKernel = void (*)(AttentionArgs);

// Parts of the query heads of a kv head, a block each.
int parts_of(const Attention& attention) {
  return (attention.heads / attention.kv_heads + kSharedHeads - 1) / kSharedHeads;
}

bool splits(const OpDesc& op) {
  const Attention& attention = std::get<Attention>(op.attributes);
  const std::int64_t tokens = op.in[0].shape.rows();
  return tokens <= kSplitTokens && tokens * attention.kv_heads * parts_of(attention) <= kTickets;
}

// What combines parts writes them as they are wanted; blocks of 32 columns lie within a head then.
bool is_result(const OpDesc& op) {
  const TensorDesc& out = op.out[0];
  if (out.layout == Layout::rows) return is_f32_rows(out);
  return is_activation(out) && splits(op) &&
         std::get<Attention>(op.attributes).head_dim % kScaleBlock == 0;
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Attention& attention = std::get<Attention>(op.attributes);
  return is_f32_rows(op.in[0]) && attention.window >= 0 && attention.kv_heads > 0 &&
         attention.heads > 0 && attention.heads % attention.kv_heads == 0 &&
         is_cache(op.in[1], attention.kv_heads, attention.head_dim) &&
         is_cache(op.in[2], attention.kv_heads, attention.head_dim) &&
         op.in[1].shape[2] == op.in[2].shape[2] && is_result(op);
}

AttentionArgs arguments(const PreparedOp& op, const Operands& operands) {
  const Attention& attention = std::get<Attention>(op.desc.attributes);
  const int ratio = attention.heads / attention.kv_heads;
  const int parts = parts_of(attention);
  return {rows_of<const float>(operands.in[0]),
          rows_of<float>(operands.out[0]),
          operands.in[3].data,
          cache_pages(operands.in[1]),
          cache_pages(operands.in[2]),
          ratio,
          (ratio + parts - 1) / parts,
          parts,
          attention.head_dim,
          attention.window,
          attention.scale};
}

struct PartVariant {
  PartKernel kernel;
  std::size_t shared_bytes;
};

template <DType kKey, DType kValue, int R>
PartVariant part_of(bool own, int head_dim) {
  const std::size_t bytes = split_shared_bytes<R>(head_dim);
  if constexpr (R <= kOwnQueries && kKey != kAnyDType)
    if (own) return {attend_part<kKey, kValue, R, true>, bytes};
  return {attend_part<kKey, kValue, R, false>, bytes};
}

template <DType kKey, DType kValue>
PartVariant part_of_heads(const AttentionArgs& a, bool own) {
  if (a.shared <= 1) return part_of<kKey, kValue, 1>(own, a.head_dim);
  if (a.shared <= 2) return part_of<kKey, kValue, 2>(own, a.head_dim);
  if (a.shared <= 4) return part_of<kKey, kValue, 4>(own, a.head_dim);
  return part_of<kKey, kValue, 8>(own, a.head_dim);
}

// `own`: as can_turn_own_token() allows it.
PartVariant part_variant(const AttentionArgs& a, bool own) {
  if (a.k.dtype != a.v.dtype) return part_of_heads<kAnyDType, kAnyDType>(a, own);
  switch (a.k.dtype) {
    case DType::F16:
      return part_of_heads<DType::F16, DType::F16>(a, own);
    case DType::BF16:
      return part_of_heads<DType::BF16, DType::BF16>(a, own);
    case DType::Q8_0:
      return part_of_heads<DType::Q8_0, DType::Q8_0>(a, own);
    default:
      return part_of_heads<DType::F32, DType::F32>(a, own);
  }
}

// `own` null: the queries are turned, and the token is in the cache.
void launch_split(Stream& stream, const PreparedOp& op, const Operands& operands,
                  Workspace workspace, const OwnToken* own) {
  const AttentionArgs a = arguments(op, operands);
  const std::int64_t tokens = operands.in[0].rows();
  if (tokens == 0) return;
  const int heads = a.k.kv_heads * a.ratio;
  auto* sums = reinterpret_cast<float*>(workspace.data());
  const SplitParts parts{sums,
                         reinterpret_cast<Float2*>(sums + tokens * heads * kSplits * a.head_dim),
                         four_rows(operands.out[0]), tickets_of(stream), operands.out[0].layout};
  const PartVariant variant = part_variant(a, own != nullptr);
  const Grid blocks{kSplits, static_cast<unsigned>(a.k.kv_heads * a.parts),
                    static_cast<unsigned>(tokens)};
  launch_overlapped(stream, variant.kernel, blocks, kSplitThreads, variant.shared_bytes, a, parts,
                    own == nullptr ? OwnToken{} : *own);
}

void run_split(Stream& stream, const PreparedOp& op, const Operands& operands,
               Workspace workspace) {
  launch_split(stream, op, operands, workspace, nullptr);
}

template <int kDim>
void launch_tiles(Stream& stream, const AttentionArgs& a, std::int64_t tokens) {
  const Grid blocks{static_cast<unsigned>(tokens), static_cast<unsigned>(a.k.kv_heads * a.parts)};
  launch_overlapped(stream, attend_tiles<kDim>, blocks, kTileThreads, sizeof(TileShared<kDim>), a);
}

void run_tiles(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const AttentionArgs a = arguments(op, operands);
  const std::int64_t tokens = operands.in[0].rows();
  if (tokens == 0) return;
  if (a.head_dim <= 64) return launch_tiles<64>(stream, a, tokens);
  if (a.head_dim <= 128) return launch_tiles<128>(stream, a, tokens);
  launch_tiles<256>(stream, a, tokens);
}

// Sizes of a launch of attend_matrices, and the kernel.
struct MatrixVariant {
  TileKernel kernel;
  std::size_t shared_bytes;
  unsigned threads;
};

// Without a kernel where no GPU of this platform has the shared memory.
template <int kDim, int kTerms>
MatrixVariant matrix_of() {
  constexpr std::size_t kBytes = sizeof(MatrixShared<kDim, kTerms>);
  if constexpr (kBytes <= kMostSharedBytes) return {attend_matrices<kDim, kTerms>, kBytes, 0};
  return {nullptr, kBytes, 0};
}
template <int kDim>
MatrixVariant matrix_of_terms(bool one_term) {
  return one_term ? matrix_of<kDim, 1>() : matrix_of<kDim, 2>();
}

MatrixVariant matrix_variant(const OpDesc& op, const SimtLimits& limits) {
  const int head_dim = std::get<Attention>(op.attributes).head_dim;
  const bool one_term = op.in[1].dtype == DType::BF16 && op.in[2].dtype == DType::BF16;
  MatrixVariant variant = head_dim <= 64    ? matrix_of_terms<64>(one_term)
                          : head_dim <= 128 ? matrix_of_terms<128>(one_term)
                                            : matrix_of_terms<256>(one_term);
  variant.threads = static_cast<unsigned>(kMatrixWarps * limits.lanes);
  return variant;
}

bool has_matrices(const OpDesc& op, const SimtLimits& limits) {
  const auto small = [](DType dtype) { return dtype == DType::F16 || dtype == DType::BF16; };
  return limits.has_bf16_tiles && small(op.in[1].dtype) && small(op.in[2].dtype) &&
         matrix_variant(op, limits).shared_bytes <= limits.shared_bytes;
}

void run_matrices(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const AttentionArgs a = arguments(op, operands);
  const std::int64_t tokens = operands.in[0].rows();
  if (tokens == 0) return;
  const auto& variant = *static_cast<const MatrixVariant*>(op.state.get());
  const Grid blocks{static_cast<unsigned>(tokens), static_cast<unsigned>(a.k.kv_heads * a.parts)};
  launch_overlapped(stream, variant.kernel, blocks, variant.threads, variant.shared_bytes, a);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const Attention& attention = std::get<Attention>(op.attributes);
  const SimtLimits& limits = simt_device(device).limits();
  const std::int64_t tokens = op.in[0].shape.rows();
  if (splits(op))
    return prepared(op, run_split, "split context",
                    split_bytes(tokens, attention.heads, attention.head_dim));
  if (has_matrices(op, limits))
    return prepared(op, run_matrices, "tiles of keys, bf16 matrices", 0,
                    std::make_shared<const MatrixVariant>(matrix_variant(op, limits)));
  return prepared(op, run_tiles, "tiles of keys, f32");
}

}  // namespace

bool can_turn_own_token(const OpDesc& attention) {
  const Attention& attributes = std::get<Attention>(attention.attributes);
  return attention.in[0].shape.rows() == 1 && splits(attention) &&
         attributes.heads / attributes.kv_heads <= kOwnQueries &&
         attention.in[1].dtype == attention.in[2].dtype;
}

void run_with_own_token(Stream& stream, const PreparedOp& attention, const Operands& operands,
                        Workspace workspace, const OwnToken& own) {
  launch_split(stream, attention, operands, workspace, &own);
}

const OpImpl attention_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
