#include "runtime/core/planes.h"

#include <gtest/gtest.h>

#include <vector>

namespace strata {
namespace {

// Every byte of a block is in one field, and wide fields come first, so that they stay aligned.
TEST(Planes, FieldsCoverEveryBlock) {
  for (const DTypeInfo& info : kDTypes) {
    const PlaneFields fields = plane_fields(info.dtype);
    std::vector<int> covered(static_cast<std::size_t>(info.block_bytes), 0);
    for (const PlaneField& field : fields)
      for (int i = 0; i < field.bytes; ++i)
        ++covered.at(static_cast<std::size_t>(field.offset + i));
    for (std::size_t i = 1; i < fields.size(); ++i)
      EXPECT_LE(fields[i].bytes, fields[i - 1].bytes) << info.name;
    const bool quantized = info.block_elements > 1;
    for (const int times : covered) EXPECT_EQ(times, quantized ? 1 : 0) << info.name;
  }
}

TEST(Planes, BeginOnSixteenBytesAndTakeTheFilesBytes) {
  for (const DTypeInfo& info : kDTypes) {
    if (plane_fields(info.dtype)[0].bytes == 0) continue;
    for (const std::int64_t blocks : {1, 3, 7}) {
      const std::int64_t columns = blocks * info.block_elements;
      for (int plane = 0; plane < kMaxPlanes; ++plane)
        EXPECT_EQ(plane_offset(info.dtype, plane, columns) % 16, 0) << info.name;
      EXPECT_EQ(plane_offset(info.dtype, kMaxPlanes, columns),
                static_cast<std::int64_t>(
                    byte_size({info.dtype, Layout::planes16, {kPanelRows, columns}})));
    }
  }
}

}  // namespace
}  // namespace strata
