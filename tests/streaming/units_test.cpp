#include <gtest/gtest.h>

#include "runtime/streaming/stream_units.h"

namespace strata::test {
namespace {

StreamedMatrix matrix(std::int64_t rows, std::int64_t columns, std::uint64_t offset,
                      DType dtype = DType::Q4_0, Layout layout = Layout::planes16) {
  const TensorDesc desc{dtype, Layout::rows, {rows, columns}};
  return {desc, layout, {0, offset, byte_size(desc)}};
}

// Every byte of every matrix is in one part, in order, cut at panels.
void expect_covers(const std::vector<SweepUnit>& units, std::span<const StreamedMatrix> matrices) {
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    std::int64_t row = 0;
    std::uint64_t at = matrices[m].range.offset;
    for (const SweepUnit& unit : units) {
      for (const StreamedPart& part : unit.parts) {
        if (part.matrix != m) continue;
        EXPECT_EQ(part.first_row, row);
        EXPECT_EQ(part.first_row % kPanelRows, 0);
        EXPECT_EQ(part.range.offset, at);
        EXPECT_EQ(part.range.bytes, byte_size(part.from));
        row += part.from.shape.rows();
        at += part.range.bytes;
      }
    }
    EXPECT_EQ(row, matrices[m].desc.shape.rows());
    EXPECT_EQ(at, matrices[m].range.offset + matrices[m].range.bytes);
  }
}

TEST(StreamUnits, SmallMatricesOfAnOpAreOneUnit) {
  const StreamedMatrix qkv[] = {matrix(64, 64, 0), matrix(16, 64, 4096), matrix(16, 64, 8192)};
  const auto units = cut_units(qkv, 1 << 20, 0);
  ASSERT_EQ(units.size(), 1u);
  expect_covers(units, qkv);
  // Parts lie one after the other at multiples of 256 bytes: 64 rows of 36 bytes, then 16.
  EXPECT_EQ(units[0].parts[1].raw_at, 2304u);
  EXPECT_EQ(units[0].parts[2].raw_at, 2304u + 768u);
  EXPECT_EQ(units[0].raw_bytes, 2304u + 2 * 768u);
}

TEST(StreamUnits, EqualMatricesAreCutAtEqualRows) {
  const StreamedMatrix gated[] = {matrix(1000, 64, 0), matrix(1000, 64, 1 << 20)};
  const auto units = cut_units(gated, 20000, 0);
  ASSERT_EQ(units.size(), 4u);  // 72000 bytes
  expect_covers(units, gated);
  for (const SweepUnit& unit : units) {
    ASSERT_EQ(unit.parts.size(), 2u);
    EXPECT_EQ(unit.parts[0].from.shape[0], unit.parts[1].from.shape[0]);
  }
}

TEST(StreamUnits, ShorterMatricesEndEarlier) {
  const StreamedMatrix group[] = {matrix(512, 64, 0), matrix(48, 64, 1 << 20)};
  const auto units = cut_units(group, 4096, 0);
  expect_covers(units, group);
  EXPECT_EQ(units.front().parts.size(), 2u);
  EXPECT_EQ(units.back().parts.size(), 1u);
}

TEST(StreamUnits, NoPartIsLargerThanTheDeviceCanBind) {
  const StreamedMatrix big[] = {matrix(4096, 256, 0)};
  const auto units = cut_units(big, std::uint64_t{1} << 30, 100000);
  expect_covers(units, big);
  for (const SweepUnit& unit : units) EXPECT_LE(unit.parts[0].range.bytes, 100000u);
}

TEST(StreamUnits, APanelIsNotCut) {
  const StreamedMatrix one[] = {matrix(20, 4096, 0)};
  const auto units = cut_units(one, 1, 0);
  ASSERT_EQ(units.size(), 2u);
  expect_covers(units, one);
}

// Only what is packed has a place in the packed buffer; panels are padded there.
TEST(StreamUnits, PackedPartsArePadded) {
  const StreamedMatrix mixed[] = {matrix(20, 64, 0),
                                  matrix(20, 64, 4096, DType::F16, Layout::rows)};
  const auto units = cut_units(mixed, 1 << 20, 0);
  ASSERT_EQ(units.size(), 1u);
  EXPECT_TRUE(units[0].parts[0].packed());
  EXPECT_FALSE(units[0].parts[1].packed());
  EXPECT_EQ(units[0].packed_bytes, 1280u);  // 32 rows of 36 bytes, to a multiple of 256
}

}  // namespace
}  // namespace strata::test
