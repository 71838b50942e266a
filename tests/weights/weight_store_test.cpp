// Row blocks: they cover each tensor exactly, in order, cut at panel rows, and keep the limits.
#include "runtime/weights/weight_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/shared_data.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

constexpr std::uint32_t kQ8_0 = 8;

std::shared_ptr<const ModelFile> open(const test::GgufBuilder& builder) {
  const test::TempFolder folder;  // the mapping outlives the name
  return ModelFile::open(folder.write("model.gguf", builder.build()));
}

/// Heights of a tensor's blocks.
std::vector<std::int64_t> heights(const WeightStore& store, std::string_view name) {
  std::vector<std::int64_t> result;
  for (const WeightBlock& block : store.blocks(store.file().require(name)))
    result.push_back(block.row_count);
  return result;
}

void expect_exact_cover(const WeightStore& store) {
  std::size_t total = 0;
  for (const TensorInfo& tensor : store.file().tensors()) {
    SCOPED_TRACE(std::string(tensor.name));
    std::int64_t row = 0;
    const std::byte* data = store.file().data(tensor).data();
    std::uint32_t number = 0;
    for (const WeightBlock& block : store.blocks(tensor)) {
      EXPECT_EQ(block.id, (BlockId{store.file().index_of(tensor), number++}));
      EXPECT_EQ(&store.block(block.id), &block);
      EXPECT_EQ(&store.tensor(block.id), &tensor);
      EXPECT_EQ(block.first_row, row);
      EXPECT_EQ(block.data.data(), data);
      EXPECT_GT(block.row_count, 0);
      EXPECT_EQ(block.data.size(),
                static_cast<std::uint64_t>(block.row_count) * tensor.row_bytes());
      EXPECT_LE(block.data.size(), store.limits().max_bytes);
      EXPECT_LE(block.data.size(), store.largest_block_bytes());
      const std::int64_t row_in_matrix = block.first_row % tensor.ne[1];
      EXPECT_EQ(row_in_matrix % store.limits().panel_rows, 0);
      row += block.row_count;
      data += block.data.size();
      ++total;
    }
    EXPECT_EQ(row, tensor.rows());
  }
  EXPECT_EQ(store.blocks().size(), total);
}

TEST(WeightStore, SmallTensorsAreOneBlock) {
  const WeightStore store(open(test::small_model()));
  EXPECT_EQ(store.blocks().size(), 4u);
  EXPECT_EQ(store.largest_block_bytes(), 512u);
  expect_exact_cover(store);
}

TEST(WeightStore, CutsEvenlyAtPanelRows) {
  // Rows of 34 bytes; a target of 1000 asks for 4 blocks of the 100 rows.
  const auto file = open(test::GgufBuilder().tensor("w", {32, 100}, kQ8_0));
  const WeightStore store(file, {.target_bytes = 1000, .max_bytes = 4000});
  EXPECT_THAT(heights(store, "w"), testing::ElementsAre(32, 32, 32, 4));
  expect_exact_cover(store);
}

TEST(WeightStore, MaximumWinsOverTarget) {
  const auto file = open(test::GgufBuilder().tensor("w", {32, 100}, kQ8_0));
  const WeightStore store(file, {.target_bytes = 100'000, .max_bytes = 34 * 40});
  EXPECT_THAT(heights(store, "w"), testing::ElementsAre(32, 32, 36));
  expect_exact_cover(store);
}

TEST(WeightStore, ExpertsOfWholePanelsMayShareABlock) {
  const auto file = open(test::GgufBuilder().tensor("e", {32, 32, 6}, kQ8_0));
  const WeightStore store(file, {.target_bytes = 34 * 64, .max_bytes = 34 * 64});
  EXPECT_THAT(heights(store, "e"), testing::ElementsAre(64, 64, 64));
  expect_exact_cover(store);
}

TEST(WeightStore, NoPanelStraddlesTwoExperts) {
  const auto file = open(test::GgufBuilder().tensor("e", {32, 20, 5}, kQ8_0));
  const WeightStore store(file, {.target_bytes = 34 * 24, .max_bytes = 34 * 32});
  EXPECT_THAT(heights(store, "e"), testing::ElementsAre(20, 20, 20, 20, 20));
  expect_exact_cover(store);
  const WeightStore fine(file, {.target_bytes = 1, .max_bytes = 34 * 16});
  EXPECT_THAT(heights(fine, "e"), testing::ElementsAre(16, 4, 16, 4, 16, 4, 16, 4, 16, 4));
  expect_exact_cover(fine);
}

TEST(WeightStore, ManyShapesAndLimits) {
  for (std::uint64_t rows : {1u, 15u, 16u, 17u, 48u, 255u})
    for (std::uint64_t experts : {1u, 2u, 7u})
      for (std::uint64_t target : {1u, 100u, 34u * 16, 34u * 50, 1u << 20}) {
        const auto file =
            open(test::GgufBuilder().tensor("w", {32, rows, experts}, kQ8_0).tensor("v", {7}));
        expect_exact_cover(WeightStore(file, {.target_bytes = target, .max_bytes = 34 * 80}));
      }
}

TEST(WeightStore, RowsTooLongForABlock) {
  const auto file = open(test::GgufBuilder().tensor("wide", {1024, 32}));
  try {
    const WeightStore store(file, {.target_bytes = 4096, .max_bytes = 8192});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tensor \"wide\" has rows of 4096 bytes: 16 of "
                                                 "them pass the limit of 8192 bytes"));
  }
}

TEST(WeightStore, DefaultLimitsOnAFixture) {
  STRATA_NEEDS_SHARED();
  const auto path = test::shared_root() / "fixtures/quantized-model/Q4_K_M.gguf";
  expect_exact_cover(WeightStore(ModelFile::open(path)));
  expect_exact_cover(WeightStore(ModelFile::open(path), {.target_bytes = 10'000}));
}

}  // namespace
}  // namespace strata
