#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/core/tensor.h"

namespace strata {

/// Attributes of every operation, in the order of ops.def. T = tokens of the step, k = experts
/// used per token, R = rows whose logits are wanted. Activations are f32 unless said otherwise.
/// `step` is the StepState block of step_state.h as bytes (I8).

/// out (T, dim) = row token[t] of table (vocabulary, dim), dequantized.
/// in: table, step. Token ids are proven < vocabulary before the step is written.
struct Embed {};

/// out (rows, cols): each group of n = w's elements is divided by its root mean square and scaled
/// by w (Zhang & Sennrich 2019). n = cols for a layer norm, head_dim for QK-norm.
/// in: x (rows, cols), w (n), f32.
struct RmsNorm {
  float eps = 0;
};

/// out: x (rows, cols) in the layout that a matmul wants. in: x, f32.
/// Layout::quantized: int8 (-127 .. 127) with one f32 scale per 32 columns, and sums. Every value
/// is within half a step, but how wide the steps are is the backend's choice: at least amax / 127.
/// Layout::rounded: bf16, to nearest even.
struct Quantize {};

/// out (rows, n) = x (rows, k) times w (n, k) transposed, plus bias (n) and residual (rows, n)
/// where there are such: y + bias + residual, each addition rounded on its own, in this order. in:
/// x f32, quantized or rounded, w any dtype in the layout that `prepare` wanted, bias and residual
/// f32 or an empty view. w may be a row block: then out, bias and residual are the matching
/// columns.
struct Linear {};

enum class RopeStyle : std::uint8_t {
  interleaved,  ///< pairs (2i, 2i + 1): GGUF `llama`, whose Q and K rows the converter permuted
  half_split,   ///< pairs (i, i + rot_dim / 2): Hugging Face, "NEOX"
};

/// Rotary position embedding (Su et al. 2021): pair i of each head turns by position * inv_freq[i].
/// in: x (T, heads * head_dim), inv_freq (rot_dim / 2) f32, step. out like x; dimensions beyond
/// rot_dim are copied. `magnitude` scales cos and sin (YaRN's attention factor).
struct Rope {
  RopeStyle style = RopeStyle::half_split;
  std::int32_t head_dim = 0;
  std::int32_t rot_dim = 0;
  float magnitude = 1.0F;
  friend bool operator==(const Rope&, const Rope&) = default;
};

/// Writes each token's key and value, rounded to the cache's dtype, to its sequence's page.
/// in: k (T, kv_heads * head_dim), v likewise, step.
/// inout: k_pages, v_pages (pages, kv_heads, page_tokens, head_dim).
struct KvAppend {
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
};

/// Causal softmax attention over the cache, grouped queries (head h reads kv head
/// h / (heads / kv_heads)). A token at position p sees positions max(0, p - window + 1) .. p of
/// its own sequence (window 0: all). A token that sees nothing gets zeros.
/// in: q (T, heads * head_dim), k_pages, v_pages, step. out (T, heads * head_dim).
struct Attention {
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  float scale = 1.0F;
  std::int32_t window = 0;
};

/// out = a + b, same shape.
struct Add {};

/// out = silu(gate) * up, same shape (Shazeer 2020).
struct SwiGlu {};

/// The `used` largest of each token's router logits (ties: lower id; NaN counts as -inf), with
/// weights: softmax over all experts, divided by their sum when `renormalise`.
/// in: logits (T, experts). out: ids (T, used) I32, weights (T, used) f32, largest first.
struct MoeRoute {
  std::int32_t experts = 0;
  std::int32_t used = 0;
  bool renormalise = true;
};

/// Routes grouped by expert. A route is token * used + choice.
/// in: ids (T, used) I32. out: offsets (experts + 1) I32, order (T * used) I32: the routes of
/// expert e are order[offsets[e] .. offsets[e + 1]), ascending.
struct MoeSort {
  std::int32_t experts = 0;
};

/// out row r (r = route) = x row (r, or r / used when `shared_input`) times w[expert of r]
/// transposed. in: x, w (experts, n, k), offsets, order. out (T * used, n). Rows of routes that are
/// not in order[0 .. offsets[experts]) stay as they are, and experts without routes are not read: a
/// step may be computed in passes over its experts.
struct LinearExperts {
  std::int32_t used = 0;
  bool shared_input = false;
  friend bool operator==(const LinearExperts&, const LinearExperts&) = default;
};

/// out (T, dim): sum over choices of weights[t, c] * y[t * used + c], in the order of c.
/// in: y (T * used, dim), weights (T, used).
struct MoeCombine {
  std::int32_t used = 0;
};

/// out (R, dim): the rows of x (T, dim) whose logits the step wants. in: x, step.
struct GatherRows {};

/// out: w in another layout. in: w in Layout::rows. Run when weights are uploaded.
struct Pack {};

/// Fused ops give the bits of the ops that they stand for, which are written as their expansion.

/// out = rope(rms_norm(q, q_norm)); kv_append(rope(rms_norm(k, k_norm)), v). The norms are over
/// each head, with `eps`; an empty view of q_norm or k_norm is no norm. in: q (T, heads *
/// head_dim), k (T, kv_heads * head_dim), v likewise, q_norm (head_dim), k_norm (head_dim),
/// inv_freq, step. inout: k_pages, v_pages. out like q.
struct RopeAppend {
  Rope rope;
  std::int32_t kv_heads = 0;
  float eps = 0;
};

/// out[i] = linear(x, w[i], bias[i]) for two or three weights that read the same x.
/// in: x, w0, w1, w2, bias0, bias1, bias2; w2 and the biases may be empty views. Weights may differ
/// in dtype, n and row blocks; one that has no block in this launch is an empty view, as is its
/// out.
struct LinearGroup {};

/// out = swiglu(linear(x, w_gate), linear(x, w_up)). in: x, w_gate (n, k), w_up (n, k), of one
/// dtype and layout. Row blocks cut both at the same rows.
struct LinearGated {};

/// out = swiglu(linear_experts(x, w_gate), linear_experts(x, w_up)).
/// in: x, w_gate (experts, n, k), w_up (experts, n, k), offsets, order. out (T * used, n).
struct LinearExpertsGated {
  std::int32_t used = 0;
  bool shared_input = false;
};

/// The `count` largest of each row of logits, and what a sampler must know of the others: rows of
/// 32-bit words, as candidates.h reads them. in: logits (R, vocabulary) f32. out (R, 2 * count + 2)
/// I32: `count` ids, largest logit first (ties: lower id; NaN counts as -inf), or -1 where the row
/// has no more; the bits of their logits (-inf for NaN and behind the last; the sign of a zero may
/// be lost); the bits of the sum, f32 and in a fixed order, of exp(logit - largest) over the row
/// (equal infinities count 1, a row of nothing but -inf 0); how many logits are NaN or +inf.
struct TopCandidates {
  std::int32_t count = 0;
};

/// Fused as well: out[0] (rows, n) = linear(x, w, bias, residual), out[1] (rows, n) =
/// rms_norm(out[0], norm) over the whole row, which may be written quantized or rounded. in: x, w,
/// bias, residual, norm (n) f32; bias and residual may be empty views. w is whole: a row block
/// would not have the row to norm.
struct LinearNorm {
  float eps = 0;
};

/// Fused as well: out = attention(rope_append(q, k, v), k_pages, v_pages), by the attributes of
/// both, which agree in head_dim and kv_heads. in: q (T, heads * head_dim), k (T, kv_heads *
/// head_dim), v likewise, q_norm (head_dim), k_norm (head_dim), inv_freq, step. inout: k_pages,
/// v_pages. out like q; it may be written quantized or rounded.
struct RopeAttention {
  RopeAppend append;
  Attention attention;
};

enum class OpKind : std::uint8_t {
#define STRATA_OP(Type, name, inputs, inouts, outputs) Type,
#include "runtime/ops/ops.def"
#undef STRATA_OP
};

inline constexpr std::size_t kOpCount = 0
#define STRATA_OP(Type, name, inputs, inouts, outputs) +1
#include "runtime/ops/ops.def"
#undef STRATA_OP
    ;

/// The attributes of any op; the alternative's index is its OpKind.
using OpAttributes = std::variant<
#define STRATA_OP(Type, name, inputs, inouts, outputs) Type,
#include "runtime/ops/ops.def"
#undef STRATA_OP
    std::monostate>;

/// A row of ops.def.
struct OpInfo {
  std::string_view name;
  int inputs;
  int inouts;
  int outputs;
  bool fused;  ///< a backend may lack it
};

inline constexpr OpInfo kOps[] = {
#define STRATA_OP(Type, name, inputs, inouts, outputs) {#name, inputs, inouts, outputs, false},
#define STRATA_FUSED_OP(Type, name, inputs, inouts, outputs) {#name, inputs, inouts, outputs, true},
#include "runtime/ops/ops.def"
#undef STRATA_OP
};

/// Most operands of a kind that an op has.
inline constexpr int kMaxOperands = 8;
static_assert(
    [] {
      for (const OpInfo& op : kOps)
        if (op.inputs > kMaxOperands || op.inouts > kMaxOperands || op.outputs > kMaxOperands)
          return false;
      return true;
    }(),
    "an op of ops.def has more operands than kMaxOperands");

/// A matrix that an op multiplies with: in[weight] (n, k), or (experts, n, k). `prepare` wants it
/// in a layout, and it may arrive in row blocks, one launch each: out[out] and in[bias] and
/// in[residual] are then the block's columns (-1: the op has no such operand).
struct MatmulWeight {
  int weight;
  int out;
  int bias;
  int residual;
};

/// The matrices of an op, in order; none for what is no matmul. All that knows about weights of
/// matmuls (layouts, row blocks, cost) asks here. Their x is in[0].
std::span<const MatmulWeight> matmul_weights(OpKind kind);
/// Whether in[operand] is one of them.
bool is_matmul_weight(OpKind kind, std::size_t operand);

/// An op with the descriptions of its operands; shapes are capacities.
struct OpDesc {
  OpAttributes attributes;
  std::vector<TensorDesc> in;
  std::vector<TensorDesc> inout;
  std::vector<TensorDesc> out;

  OpKind kind() const { return static_cast<OpKind>(attributes.index()); }
  const OpInfo& info() const { return kOps[attributes.index()]; }
};

/// Shape inference: the outputs of an op on these inputs. Throws Error{bad_model} naming the op,
/// the operand and both numbers when shapes or dtypes do not fit. Quantize and Pack decide only the
/// layout: their output is described by the caller.
std::vector<TensorDesc> infer_outputs(const OpAttributes& attributes,
                                      std::span<const TensorDesc> in);

/// What one run of an op moves and computes at most (at capacity; attention at `kv_tokens` of
/// context per token).
struct OpCost {
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t flops = 0;
};
OpCost op_cost(const OpDesc& op, std::int64_t kv_tokens);

}  // namespace strata
