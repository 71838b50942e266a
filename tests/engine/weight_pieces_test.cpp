// Ranges of rows of a weight: together they are the weight, in bytes and in rows.
#include "runtime/engine/weight_pieces.h"

#include <gtest/gtest.h>

#include "runtime/engine/program_weights.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

TEST(WeightPieces, AreWholePanelsThatFollowEachOther) {
  for (const std::int64_t rows : {1, 16, 17, 100, 448, 1536}) {
    const std::int64_t panels = (rows + kPanelRows - 1) / kPanelRows;
    for (std::int32_t pieces = 1; pieces <= panels; ++pieces) {
      EXPECT_EQ(first_row_of({0, pieces}, rows), 0);
      EXPECT_EQ(first_row_of({pieces, pieces}, rows), rows);
      for (std::int32_t i = 0; i < pieces; ++i) {
        const std::int64_t first = first_row_of({i, pieces}, rows);
        EXPECT_EQ(first % kPanelRows, 0);
        EXPECT_LT(first, first_row_of({i + 1, pieces}, rows)) << i << " of " << pieces;
      }
    }
  }
}

TEST(WeightPieces, OfAWeightAreItsBytes) {
  const auto model = Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
  const WeightOrigin whole = *model->weight(0, "ffn_down.weight");
  const std::byte* next = whole.data.data();
  std::int64_t rows = 0;
  StreamedMatrix matrix{whole.desc, Layout::rows, {0, 4096, whole.bytes()}, 0};
  for (std::int32_t i = 0; i < 3; ++i) {
    const WeightOrigin part = cut(whole, {i, 3});
    EXPECT_EQ(part.data.data(), next);
    EXPECT_EQ(part.data.size(), part.bytes());
    const StreamedMatrix streamed = cut(matrix, {i, 3});
    EXPECT_EQ(streamed.range.offset, 4096 + static_cast<std::uint64_t>(next - whole.data.data()));
    EXPECT_EQ(streamed.range.bytes, part.bytes());
    EXPECT_EQ(streamed.first_row, rows);
    EXPECT_EQ(streamed.desc, part.desc);
    next += part.data.size();
    rows += part.desc.shape.rows();
  }
  EXPECT_EQ(next, whole.data.data() + whole.data.size());
  EXPECT_EQ(rows, whole.desc.shape.rows());
}

TEST(WeightPieces, OfAnOpAreCutWhereItsMatricesHaveTheSameRows) {
  const auto model = Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
  const auto cpu = open_device("cpu", {1});
  const WeightReader reader(*model, *cpu, test_options(DType::F16, 32).programs);
  const ProgramWeights layer = reader.layer(0, true);
  ASSERT_EQ(layer.ops.size(), 4u);
  EXPECT_EQ(cut_op(layer.ops[0], 8192).size(), 1u) << "query, key and value";
  for (const std::size_t op : {1, 2, 3}) {
    const std::vector<OpMatrices> pieces = cut_op(layer.ops[op], layer.ops[op].file_bytes / 3);
    EXPECT_GE(pieces.size(), 3u);
    std::uint64_t file = 0;
    std::uint64_t packed = 0;
    double flops = 0;
    for (const OpMatrices& piece : pieces) {
      EXPECT_EQ(piece.matrices.size(), layer.ops[op].matrices.size());
      file += piece.file_bytes;
      packed += piece.packed_bytes;
      flops += piece.flops;
    }
    EXPECT_EQ(file, layer.ops[op].file_bytes);
    EXPECT_GE(packed, layer.ops[op].packed_bytes);
    EXPECT_NEAR(flops, layer.ops[op].flops, 1e-9 * flops);
  }
}

}  // namespace
}  // namespace strata::test
