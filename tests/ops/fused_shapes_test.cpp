// Shape inference and cost of the fused ops agree with the primitives that they stand for.
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/ops/ops.h"

namespace strata::test {
namespace {

using Descs = std::vector<TensorDesc>;

TensorDesc f32(std::int64_t rows, std::int64_t columns) {
  return {DType::F32, Layout::rows, {rows, columns}};
}
TensorDesc vector_of(std::int64_t n) { return {DType::F32, Layout::rows, {n}}; }

Descs outputs(const OpAttributes& op, const Descs& in) { return infer_outputs(op, in); }

OpCost cost(const OpAttributes& op, const Descs& in) {
  return op_cost({op, in, {}, infer_outputs(op, in)}, 0);
}

const TensorDesc kStep{DType::I8, Layout::rows, {1, 64}};

TEST(FusedShapes, RopeAppendIsLikeItsParts) {
  const auto op = RopeAppend{{RopeStyle::half_split, 64, 32, 1.0F}, 2, 1e-6F};
  const Descs in{f32(5, 256),   f32(5, 128),   f32(5, 128), vector_of(64),
                 vector_of(64), vector_of(16), kStep};
  EXPECT_EQ(outputs(op, in), Descs{f32(5, 256)});
  for (const auto& [operand, wrong] :
       std::vector<std::pair<std::size_t, TensorDesc>>{{0, f32(5, 250)},
                                                       {1, f32(5, 64)},
                                                       {2, f32(5, 64)},
                                                       {3, vector_of(256)},
                                                       {4, vector_of(128)},
                                                       {5, vector_of(32)}}) {
    Descs bad = in;
    bad[operand] = wrong;
    EXPECT_THROW(outputs(op, bad), Error) << "operand " << operand;
  }
  Descs without_norms = in;
  without_norms[3] = without_norms[4] = {};
  EXPECT_EQ(outputs(op, without_norms), Descs{f32(5, 256)});
}

TEST(FusedShapes, RopeAttentionIsLikeItsParts) {
  const RopeAppend append{{RopeStyle::half_split, 64, 32, 1.0F}, 2, 1e-6F};
  const Attention attention{4, 2, 64, 1.0F, 0};
  const Descs in{f32(5, 256),   f32(5, 128),   f32(5, 128), vector_of(64),
                 vector_of(64), vector_of(16), kStep};
  const TensorDesc k_pages{DType::F16, Layout::rows, {9, 2, 16, 64}};
  const TensorDesc v_pages{DType::Q8_0, Layout::rows, {9, 2, 16, 64}};
  const RopeAttention fused{append, attention};
  EXPECT_EQ(outputs(fused, in), Descs{f32(5, 256)});
  EXPECT_THROW(outputs(RopeAttention{append, {4, 4, 64, 1.0F, 0}}, in), Error);
  EXPECT_THROW(outputs(RopeAttention{append, {8, 2, 32, 1.0F, 0}}, in), Error);
  Descs bad = in;
  bad[3] = vector_of(32);
  EXPECT_THROW(outputs(fused, bad), Error);

  const OpDesc both{fused, in, {k_pages, v_pages}, {f32(5, 256)}};
  const OpDesc first{append, in, {k_pages, v_pages}, {f32(5, 256)}};
  const OpDesc second{attention, {f32(5, 256), k_pages, v_pages, kStep}, {}, {f32(5, 256)}};
  for (const std::int64_t context : {0, 77}) {
    const OpCost cost = op_cost(both, context);
    const OpCost a = op_cost(first, context);
    const OpCost b = op_cost(second, context);
    const std::uint64_t q = byte_size(f32(5, 256));  // not written, nor read again
    EXPECT_EQ(cost.bytes_read, a.bytes_read + b.bytes_read - q);
    EXPECT_EQ(cost.bytes_written, a.bytes_written + b.bytes_written - q);
    EXPECT_EQ(cost.flops, a.flops + b.flops);
  }
}

TEST(FusedShapes, LinearGroupIsLikeItsLinears) {
  const TensorDesc x = f32(5, 64);
  const TensorDesc q{DType::Q4_0, Layout::rows, {96, 64}};
  const TensorDesc v{DType::Q8_0, Layout::rows, {32, 64}};
  const Descs two{x, q, v, {}, {}, vector_of(32), {}};
  EXPECT_EQ(outputs(LinearGroup{}, two), (Descs{f32(5, 96), f32(5, 32), {}}));
  const Descs three{x, q, v, q, {}, {}, {}};
  EXPECT_EQ(outputs(LinearGroup{}, three), (Descs{f32(5, 96), f32(5, 32), f32(5, 96)}));
  EXPECT_THROW(outputs(LinearGroup{}, {x, q, v, {}, {}, vector_of(33), {}}), Error);

  const OpCost group = cost(LinearGroup{}, two);
  const OpCost first = cost(Linear{}, {x, q, {}, {}});
  const OpCost second = cost(Linear{}, {x, v, vector_of(32), {}});
  EXPECT_EQ(group.flops, first.flops + second.flops);
  EXPECT_EQ(group.bytes_written, first.bytes_written + second.bytes_written);
  EXPECT_EQ(group.bytes_read, first.bytes_read + second.bytes_read - byte_size(x));
}

TEST(FusedShapes, LinearGatedIsLikeItsPair) {
  const TensorDesc x = f32(5, 64);
  const TensorDesc w{DType::Q4_0, Layout::rows, {96, 64}};
  EXPECT_EQ(outputs(LinearGated{}, {x, w, w}), Descs{f32(5, 96)});
  EXPECT_THROW(outputs(LinearGated{}, {x, w, {DType::Q8_0, Layout::rows, {96, 64}}}), Error);
  EXPECT_THROW(outputs(LinearGated{}, {x, w, {DType::Q4_0, Layout::rows, {64, 64}}}), Error);
  EXPECT_EQ(cost(LinearGated{}, {x, w, w}).flops, 2 * cost(Linear{}, {x, w, {}, {}}).flops);
}

TEST(FusedShapes, ExpertsAreCountedOnlyWhereTheyHaveRoutes) {
  const TensorDesc w{DType::Q4_0, Layout::rows, {8, 96, 64}};
  const TensorDesc offsets{DType::I32, Layout::rows, {1, 9}};
  const TensorDesc order{DType::I32, Layout::rows, {4, 1}};  // two tokens, two experts each
  const auto op = LinearExpertsGated{2, true};
  const Descs in{f32(2, 64), w, w, offsets, order};
  EXPECT_EQ(outputs(op, in), Descs{f32(4, 96)});
  EXPECT_THROW(outputs(op, {f32(4, 64), w, w, offsets, order}), Error);
  const OpCost gated = cost(op, in);
  const OpCost one = cost(LinearExperts{2, true}, {f32(2, 64), w, offsets, order});
  EXPECT_EQ(gated.flops, 2 * one.flops);
  EXPECT_EQ(gated.bytes_read - one.bytes_read, byte_size(w) / 8 * 4);
}

TEST(FusedShapes, AResidualIsAsWideAsTheResult) {
  const TensorDesc w{DType::F32, Layout::rows, {96, 64}};
  EXPECT_EQ(outputs(Linear{}, {f32(5, 64), w, {}, f32(5, 96)}), Descs{f32(5, 96)});
  EXPECT_THROW(outputs(Linear{}, {f32(5, 64), w, {}, f32(5, 64)}), Error);
}

TEST(FusedShapes, LinearNormIsLikeItsParts) {
  const TensorDesc x = f32(5, 64);
  const TensorDesc w{DType::Q4_0, Layout::rows, {96, 64}};
  const Descs in{x, w, vector_of(96), f32(5, 96), vector_of(96)};
  EXPECT_EQ(outputs(LinearNorm{}, in), (Descs{f32(5, 96), f32(5, 96)}));
  EXPECT_EQ(outputs(LinearNorm{}, {x, w, {}, {}, vector_of(96)}), (Descs{f32(5, 96), f32(5, 96)}));
  for (const std::size_t operand : {2, 3, 4}) {
    Descs bad = in;
    bad[operand] = vector_of(32);
    EXPECT_THROW(outputs(LinearNorm{}, bad), Error) << "operand " << operand;
  }
  const OpCost fused = cost(LinearNorm{}, in);
  const OpCost sum = cost(Linear{}, {x, w, vector_of(96), f32(5, 96)});
  const OpCost norm = cost(RmsNorm{}, {f32(5, 96), vector_of(96)});
  EXPECT_EQ(fused.flops, sum.flops + norm.flops);
  EXPECT_EQ(fused.bytes_written, sum.bytes_written + norm.bytes_written);
  EXPECT_EQ(fused.bytes_read, sum.bytes_read + norm.bytes_read - byte_size(f32(5, 96)));
}

}  // namespace
}  // namespace strata::test
