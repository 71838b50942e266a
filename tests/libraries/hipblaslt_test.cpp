// What the HIP backend asks of hipBLASLt, of a library that plays it: no AMD GPU is needed.
#include "backends/hip/hipblaslt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace strata::hip::hipblaslt {
namespace {

SharedLibrary fake(const char* name) { return SharedLibrary(program_folder() + "/" + name); }

std::uint16_t to_bf16(float value) {
  std::uint32_t word = 0;
  std::memcpy(&word, &value, sizeof word);
  return static_cast<std::uint16_t>(word >> 16);
}

// Small whole numbers, whose products and sums are exact: x (3, 8) and w (6, 8), with rows of 16.
class HipBlasLt : public testing::Test {
 protected:
  static constexpr std::int64_t kRows = 3, kN = 6, kK = 8, kStep = 16;

  HipBlasLt() {
    for (std::size_t i = 0; i < std::size(w_); ++i) w_[i] = to_bf16(static_cast<float>(i % 7) - 3);
    for (std::size_t i = 0; i < std::size(x_); ++i) x_[i] = to_bf16(static_cast<float>(i % 5) - 2);
    for (std::size_t i = 0; i < std::size(out_); ++i) out_[i] = static_cast<float>(i);
  }

  Product product() { return {kRows, kN, kK, x_, kStep, w_, kStep, nullptr, 0, out_, kStep}; }

  float sum(std::int64_t row, std::int64_t n) const {
    float sum = 0;
    for (std::int64_t k = 0; k < kK; ++k)
      sum += static_cast<float>((n * kStep + k) % 7 - 3) *
             static_cast<float>((row * kStep + k) % 5 - 2);
    return sum;
  }

  SharedLibrary file_ = fake("libfake_hipblaslt.so");
  Library library_{file_};
  std::uint16_t w_[kN * kStep], x_[kRows * kStep];
  float out_[kRows * kStep];
  int stream_ = 0;
};

TEST_F(HipBlasLt, IsUsedOnlyWhereItIsCompleteAndOfOurNumbers) {
  EXPECT_TRUE(library_.open());
  Library incomplete(fake("libfake_nvml.so"));
  EXPECT_FALSE(incomplete.open());
  Library missing(fake("libfake_none.so"));
  EXPECT_FALSE(missing.open());
  setenv("STRATA_FAKE_HIPBLASLT", "old", 1);
  Library old(file_);
  EXPECT_FALSE(old.open());
  unsetenv("STRATA_FAKE_HIPBLASLT");
}

TEST_F(HipBlasLt, OnlyWaysThatNeedNoWorkspaceAreAskedFor) {
  ASSERT_TRUE(library_.open());
  const std::vector<Algorithm> ways = library_.algorithms(product(), 8);
  ASSERT_EQ(ways.size(), 2U);
  EXPECT_EQ(ways[0].data[0], 1);
  EXPECT_EQ(ways[1].data[0], 4);
  EXPECT_EQ(library_.algorithms(product(), 1).size(), 1U);
  Product product_of = product();
  EXPECT_TRUE(library_.takes(ways[0], product_of));
  product_of.n = 5;
  EXPECT_FALSE(library_.takes(ways[0], product_of));
  product_of.n = 66;
  EXPECT_FALSE(library_.takes(ways[0], product_of));
}

TEST_F(HipBlasLt, MultipliesAndAdds) {
  ASSERT_TRUE(library_.open());
  const Algorithm way = library_.algorithms(product(), 1).front();
  EXPECT_NE(library_.multiply(nullptr, way, product()), kDone);
  ASSERT_EQ(library_.multiply(&stream_, way, product()), kDone);
  for (std::int64_t row = 0; row < kRows; ++row)
    for (std::int64_t n = 0; n < kStep; ++n)
      EXPECT_EQ(out_[row * kStep + n], n < kN ? sum(row, n) : static_cast<float>(row * kStep + n));
  // To what is there, and from elsewhere.
  Product adding = product();
  adding.add = out_;
  adding.add_step = kStep;
  ASSERT_EQ(library_.multiply(&stream_, way, adding), kDone);
  float other[kRows * kN];
  for (std::size_t i = 0; i < std::size(other); ++i) other[i] = 100;
  EXPECT_EQ(out_[2 * kStep + 1], 2 * sum(2, 1));
  adding.add = other;
  adding.add_step = kN;
  ASSERT_EQ(library_.multiply(&stream_, way, adding), kDone);
  EXPECT_EQ(out_[2 * kStep + 1], 100 + sum(2, 1));
}

TEST_F(HipBlasLt, NoLayoutIsLeftBehind) {
  ASSERT_TRUE(library_.open());
  const Algorithm way = library_.algorithms(product(), 1).front();
  library_.takes(way, product());
  library_.multiply(&stream_, way, product());
  EXPECT_EQ(file_.function<int()>("fake_hipblaslt_layouts")(), 0);
}

}  // namespace
}  // namespace strata::hip::hipblaslt
