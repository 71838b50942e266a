#include "runtime/core/dtype.h"

#include <gtest/gtest.h>

#include <set>

namespace strata {
namespace {

TEST(DType, TableIsInEnumOrderWithoutDoubles) {
  std::set<std::uint32_t> ids;
  std::set<std::string_view> names;
  std::size_t position = 0;
  for (const DTypeInfo& info : kDTypes) {
    EXPECT_EQ(static_cast<std::size_t>(info.dtype), position++);
    EXPECT_EQ(&dtype_info(info.dtype), &info);
    EXPECT_TRUE(ids.insert(info.gguf_id).second) << info.name;
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(dtype_of_gguf(info.gguf_id), info.dtype);
    EXPECT_EQ(is_quantized(info.dtype), info.block_elements > 1);
  }
}

TEST(DType, FoundByNameInAnyCase) {
  EXPECT_EQ(dtype_of_name("q4_k"), DType::Q4_K);
  EXPECT_EQ(dtype_of_name("Q4_K"), DType::Q4_K);
  EXPECT_EQ(dtype_of_name("bf16"), DType::BF16);
  EXPECT_EQ(dtype_of_name("iq4_nl"), DType::IQ4_NL);
  EXPECT_EQ(dtype_of_name("q4"), std::nullopt);
  EXPECT_EQ(dtype_of_name(""), std::nullopt);
  EXPECT_EQ(dtype_of_gguf(16), std::nullopt);
}

TEST(DType, RowBytes) {
  EXPECT_EQ(row_bytes(DType::F32, 7), 28u);
  EXPECT_EQ(row_bytes(DType::Q8_0, 64), 68u);
  EXPECT_EQ(row_bytes(DType::Q4_K, 512), 288u);
  EXPECT_EQ(row_bytes(DType::MXFP4, 32), 17u);
}

}  // namespace
}  // namespace strata
