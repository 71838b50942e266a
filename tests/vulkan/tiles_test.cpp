// The tiles of cooperative matrices (shaders/include/gemm_tiles.glsl), in plain arithmetic: every
// shape of matrix and tile that GPUs get, and numbers that halves alone cannot hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "backends/vulkan/backend.h"
#include "backends/vulkan/ops/matmul_tiles.h"
#include "backends/vulkan/shader_table.h"
#include "runtime/core/half.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Elements = CooperativeShape::Elements;

TEST(VulkanTileMatrix, IsTheLargestThatDividesTheTiles) {
  VulkanLimits limits;
  limits.min_subgroup_size = 32;
  EXPECT_EQ(tile_matrix(limits), nullptr);
  limits.cooperative_shapes = {{Elements::i8, 16, 16, 32}};
  EXPECT_EQ(tile_matrix(limits), nullptr);
  limits.cooperative_shapes.push_back({Elements::f16, 64, 64, 16});
  limits.cooperative_shapes.push_back({Elements::f16, 16, 16, 64});
  limits.cooperative_shapes.push_back({Elements::f16, 12, 16, 16});
  EXPECT_EQ(tile_matrix(limits), nullptr);
  limits.cooperative_shapes.push_back({Elements::f16, 16, 8, 8});
  EXPECT_EQ(tile_matrix(limits)->n, 8U);
  limits.cooperative_shapes.push_back({Elements::f16, 16, 16, 16});
  limits.cooperative_shapes.push_back({Elements::f16, 16, 8, 16});
  EXPECT_EQ(tile_matrix(limits)->n * tile_matrix(limits)->k, 256U);
  limits.min_subgroup_size = 128;
  EXPECT_EQ(tile_matrix(limits)->m * tile_matrix(limits)->n, 256U);
}

TEST(VulkanTileMatrix, WhyThereIsNoneIsSaid) {
  VulkanLimits limits;
  limits.min_subgroup_size = 32;
  limits.max_invocations = 1024;
  limits.shared_bytes = 64 << 10;
  limits.why_no_coopmat = "it is too old";
  EXPECT_THAT(why_no_tiles(limits, false), StartsWith("it is too old"));
  limits.has_coopmat = limits.emulates_coopmat = true;
  limits.cooperative_shapes = {{Elements::i8, 16, 16, 32}};
  EXPECT_THAT(why_no_tiles(limits, false), HasSubstr("divides our tiles"));
  limits.cooperative_shapes.push_back({Elements::f16, 16, 16, 16});
  EXPECT_EQ(why_no_tiles(limits, false), "");
  limits.shared_bytes = 16 << 10;
  EXPECT_THAT(why_no_tiles(limits, false), HasSubstr("do not fit"));
  EXPECT_EQ(why_no_tiles(limits, true), "");
  limits.shared_bytes = 64 << 10;
  limits.emulates_coopmat = false;
  if (has_shader("gemm_coopmat")) {
    EXPECT_EQ(why_no_tiles(limits, false), "");
  } else {
    EXPECT_THAT(why_no_tiles(limits, false), HasSubstr("glslc"));
  }
}

class VulkanTiles : public OnVulkan {
 protected:
  void SetUp() override {
    OnVulkan::SetUp();
    if (!IsSkipped()) device_ = with_matrix({Elements::f16, 16, 16, 16});
  }

  std::unique_ptr<VulkanDevice> with_matrix(const CooperativeShape& shape) const {
    PhysicalDevice physical = examine_all(*instance_).at(0);
    physical.limits.cooperative_shapes = {shape};
    physical.limits.has_coopmat = physical.limits.emulates_coopmat = true;
    return std::make_unique<VulkanDevice>(std::make_shared<Context>(instance_, physical));
  }

  static Address at(const Buffer& buffer) {
    return {reinterpret_cast<std::uint64_t>(buffer.data())};
  }
  template <class Value>
  Buffer uploaded(Stream& stream, const std::vector<Value>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    Buffer buffer = device_bytes(copy.size());
    stream.copy(span(buffer), span(copy));
    stream.synchronize();
    return buffer;
  }

  // x (rows, k) times w (n, k), or gated with as many rows of `up` behind w's; `change` of the
  // constants that were planned.
  struct Product {
    DType dtype;
    std::int64_t rows;
    std::int64_t n;
    std::int64_t k;
    bool gated = false;
  };
  using Change = std::function<void(MatmulConstants&)>;
  template <class Weight>
  std::vector<float> multiply(const Product& p, const std::vector<float>& x,
                              const std::vector<Weight>& w, const Change& change = {}) {
    auto stream = compute();
    const Buffer x_at = uploaded(*stream, x);
    const Buffer w_at = uploaded(*stream, w);
    const Buffer out = device_bytes(static_cast<std::size_t>(p.rows * p.n) * sizeof(float));
    MatmulShape shape{p.dtype, Layout::rows, Layout::rows, p.k, p.rows};
    shape.gated = p.gated;
    MatmulKernel kernel = choose_matmul(*device_, shape);
    if (change) {
      change(kernel.constants);
      std::array<std::uint32_t, sizeof(MatmulConstants) / 4> values{};
      std::memcpy(values.data(), &kernel.constants, sizeof(values));
      kernel.pipeline = device_->pipeline(kernel.shader, values, kernel.constants.subgroup);
    }
    names_.emplace_back(kernel.name);
    const Buffer halves = device_bytes(half_rows_bytes(kernel, p.rows, p.k) + 1);
    MatmulPush push;
    push.k = size32(p.k);
    push.rows = size32(p.rows);
    push.w_stride = static_cast<std::uint32_t>(row_bytes(p.dtype, p.k));
    push.w[0] = at(w_at);
    push.w[1] = {at(w_at).value + static_cast<std::uint64_t>(p.n) * push.w_stride};
    push.n[0] = size32(p.n);
    push.out[0] = at(out);
    push.out_stride[0] = size32(p.n * 4);
    set_x(push,
          half_rows(*stream, kernel, {at(x_at), size32(p.k * 4)}, push.rows, push.k, at(halves)));
    run_matmul(*stream, kernel, push);
    const std::vector<std::byte> bytes = bytes_of(*stream, span(out));
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  // BF16 weights, whose values are `w`; each output is held against its sum in double. `loss`: what
  // each weight may be off beside its rounding.
  void expect_product(std::int64_t rows, std::int64_t n, std::int64_t k,
                      const std::vector<float>& x, const std::vector<float>& w, double loss) {
    std::vector<std::uint16_t> halves;
    for (const float value : w) halves.push_back(f32_to_bf16(value));
    const auto got = multiply({DType::BF16, rows, n, k}, x, halves);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < n; ++c) {
        double sum = 0;
        double terms = 0;
        double xs = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          const double a = x[static_cast<std::size_t>(r * k + i)];
          const double b = bf16_to_f32(halves[static_cast<std::size_t>(c * k + i)]);
          sum += a * b;
          terms += std::abs(a * b);
          xs += std::abs(a);
        }
        ASSERT_NEAR(got[static_cast<std::size_t>(r * n + c)], sum,
                    0x1p-10 * terms + loss * xs + 1e-38)
            << "row " << r << " output " << c;
      }
    }
  }

  static std::vector<float> random(std::int64_t count, float largest, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(-largest, largest);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = uniform(engine);
    return values;
  }

  std::vector<std::string> names_;
};

// Blocks of random bytes whose scales, halves at `scales`, are 2^-4.
std::vector<std::byte> random_blocks(DType dtype, std::int64_t rows, std::int64_t k,
                                     std::initializer_list<std::size_t> scales) {
  std::mt19937 engine(7);
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows) * row_bytes(dtype, k));
  for (std::byte& b : bytes) b = static_cast<std::byte>(engine());
  const std::uint16_t half = 0x2c00;
  for (std::size_t first = 0; first < bytes.size(); first += dtype_info(dtype).block_bytes)
    for (const std::size_t scale : scales) std::memcpy(&bytes[first + scale], &half, sizeof(half));
  return bytes;
}

void wide(MatmulConstants& c) {
  c.rows = c.tokens = 128;
  c.parts = 32;
  c.token_quads = 64;
  c.lanes = 8 * c.subgroup;
}
void flat(MatmulConstants& c) {
  c.rows = 128;
  c.lanes = 4 * c.subgroup;
}

TEST_F(VulkanTiles, EveryShapeOfMatrixAndTileGivesTheSameSums) {
  struct Variant {
    CooperativeShape shape;
    Change change;
  };
  const CooperativeShape square{Elements::f16, 16, 16, 16};
  const CooperativeShape low{Elements::f16, 8, 16, 16};
  const struct {
    DType dtype;
    std::initializer_list<std::size_t> scales;
    bool gated;
    std::vector<Variant> variants;
  } cases[] = {{DType::Q4_K,
                {0, 2},
                false,
                {{square, wide},
                 {low, flat},
                 {{Elements::f16, 16, 8, 8}, {}},
                 {{Elements::f16, 8, 8, 32}, {}}}},
               {DType::Q4_K, {0, 2}, true, {{square, wide}, {low, flat}}},
               {DType::Q6_K, {208}, false, {{square, flat}}}};
  for (const auto& w : cases) {
    const Product p{w.dtype, 41, 37, 768, w.gated};
    const auto x = random(p.rows * p.k, 1, 3);
    const auto weights = random_blocks(w.dtype, (w.gated ? 2 : 1) * p.n, p.k, w.scales);
    device_ = open();
    const auto plain = multiply(p, x, weights);
    ASSERT_EQ(names_.back(), "gemm f32");
    float largest = 0;
    for (const float value : plain) largest = std::max(largest, std::abs(value));
    std::vector<float> first;
    for (const Variant& variant : w.variants) {
      device_ = with_matrix(variant.shape);
      const auto got = multiply(p, x, weights, variant.change);
      ASSERT_EQ(names_.back(), "gemm f16 emulated");
      if (first.empty()) first = got;
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], plain[i], 0x1p-8F * largest) << variant.shape.m;
        ASSERT_NEAR(got[i], first[i], 0x1p-17F * largest) << variant.shape.m;
      }
    }
  }
}

TEST_F(VulkanTiles, RowsOfXKeepTheirOwnRange) {
  constexpr std::int64_t kRows = 12;
  constexpr std::int64_t kK = 96;
  auto x = random(kRows * kK, 1, 4);
  const float sizes[kRows] = {1,     1e-30F, 1e30F, 3e38F, 1e-37F, 1e-41F,
                              1e-5F, 7e4F,   1e9F,  0,     2e-20F, 65504};
  for (std::int64_t r = 0; r < kRows; ++r)
    for (std::int64_t c = 0; c < kK; ++c) x[static_cast<std::size_t>(r * kK + c)] *= sizes[r];
  expect_product(kRows, 5, kK, x, random(5 * kK, 1e-4F, 5), 0x1p-22 * 1e-4);
}

// Of a row, too: what is far below its largest may be lost, but not what matters for a sum.
TEST_F(VulkanTiles, AnOutlierOfXDoesNotHideTheRest) {
  auto x = random(9 * 64, 1, 4);
  x[70] = 3e4F;
  expect_product(9, 5, 64, x, random(5 * 64, 1, 5), 0x1p-22);
}

TEST_F(VulkanTiles, WeightsMayGrowAlongARow) {
  constexpr std::int64_t kK = 320;  // ten slabs
  const auto x = random(9 * kK, 1, 4);
  for (const float step : {1e-3F, 1.0F, 30.0F, 1e3F, 1e7F}) {
    auto w = random(3 * kK, 1, 5);
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] *= static_cast<float>(1e-30 * std::pow(static_cast<double>(step), i % kK / 32));
    float largest = 0;
    for (const float value : w) largest = std::max(largest, std::abs(value));
    ASSERT_TRUE(std::isfinite(largest));
    expect_product(9, 3, kK, x, w, 0x1p-22 * static_cast<double>(largest));
  }
}

TEST_F(VulkanTiles, WeightsMayBeHugeOrTiny) {
  const auto x = random(9 * 64, 1, 4);
  for (const float size : {1e-37F, 1e-20F, 1e-4F, 65504.0F, 1e6F, 1e36F})
    expect_product(9, 5, 64, x, random(5 * 64, size, 5), 0x1p-22 * static_cast<double>(size));
  expect_product(9, 5, 64, x, std::vector<float>(5 * 64, 0.0F), 0);
}

// A scale of 65504 times quants is far beyond what a half holds.
TEST_F(VulkanTiles, LargeScalesOfBlocks) {
  constexpr std::int64_t kK = 64;
  std::vector<std::byte> w = random_blocks(DType::Q8_0, 5, kK, {});
  const std::uint16_t most = 0x7bff;
  for (std::size_t first = 0; first < w.size(); first += 34)
    std::memcpy(&w[first], &most, sizeof(most));
  const auto x = random(9 * kK, 1, 4);
  const auto got = multiply({DType::Q8_0, 9, 5, kK}, x, w);
  for (std::size_t r = 0; r < 9; ++r) {
    for (std::size_t c = 0; c < 5; ++c) {
      double sum = 0;
      double terms = 0;
      for (std::size_t i = 0; i < kK; ++i) {
        const auto quant = static_cast<signed char>(w[(c * 2 + i / 32) * 34 + 2 + i % 32]);
        const double term = static_cast<double>(x[r * kK + i]) * 65504 * quant;
        sum += term;
        terms += std::abs(term);
      }
      ASSERT_NEAR(got[r * 5 + c], sum, 0x1p-10 * terms);
    }
  }
}

TEST_F(VulkanTiles, NansAndInfinitiesStayInTheirRow) {
  constexpr std::int64_t kK = 64;
  auto x = random(9 * kK, 1, 4);
  const auto floats = random(5 * kK, 1, 5);
  std::vector<std::uint16_t> w;
  for (const float value : floats) w.push_back(f32_to_bf16(value));
  const auto clean = multiply({DType::BF16, 9, 5, kK}, x, w);
  x[2 * kK + 7] = std::numeric_limits<float>::quiet_NaN();
  x[5 * kK + 8] = -std::numeric_limits<float>::infinity();
  const auto got = multiply({DType::BF16, 9, 5, kK}, x, w);
  for (std::size_t r = 0; r < 9; ++r)
    for (std::size_t c = 0; c < 5; ++c) {
      if (r == 2)
        EXPECT_TRUE(std::isnan(got[r * 5 + c]));
      else if (r == 5)
        EXPECT_TRUE(std::isinf(got[r * 5 + c]));
      else
        EXPECT_EQ(got[r * 5 + c], clean[r * 5 + c]);
    }
  w[3 * kK + 40] = 0x7fc0;
  const auto spoilt = multiply({DType::BF16, 9, 5, kK}, random(9 * kK, 1, 4), w);
  for (std::size_t i = 0; i < spoilt.size(); ++i) {
    EXPECT_EQ(std::isnan(spoilt[i]), i % 5 == 3);
    if (i % 5 != 3) {
      EXPECT_EQ(spoilt[i], clean[i]);
    }
  }
}

TEST_F(VulkanTiles, AVariableChoosesThemForTests) {
  const auto limits_with = [&](const char* value) {
    const Variable variable("STRATA_VULKAN_COOPMAT", value);
    return examine_all(*instance_).at(0);
  };
  EXPECT_FALSE(limits_with(nullptr).limits.emulates_coopmat);
  EXPECT_TRUE(limits_with("emulated").limits.emulates_coopmat);
  EXPECT_FALSE(limits_with("off").limits.has_coopmat);
  EXPECT_NE(limits_with("on").why_not.find("STRATA_VULKAN_COOPMAT"), std::string::npos);
}

// What `strata devices` and `strata doctor` say.
TEST_F(VulkanTiles, ThePathOfPromptsIsTold) {
  const auto paths_with = [&](const char* value) {
    const Variable variable("STRATA_VULKAN_COOPMAT", value);
    return product_paths(0);
  };
  EXPECT_EQ(paths_with("emulated").prompts, "cooperative matrices (emulated), f16 16x16x16");
  EXPECT_EQ(paths_with("emulated").why_without_coopmat, "");
  EXPECT_EQ(paths_with("off").prompts, "plain arithmetic, f32");
  EXPECT_THAT(paths_with("off").why_without_coopmat, HasSubstr("STRATA_VULKAN_COOPMAT is off"));
  const VulkanLimits limits = examine_all(*instance_).at(0).limits;
  const ProductPaths paths = paths_with(nullptr);
  EXPECT_EQ(paths.prompts == "plain arithmetic, f32", !paths.why_without_coopmat.empty());
  if (!limits.has_coopmat) {
    EXPECT_THAT(paths.why_without_coopmat, HasSubstr("does not offer VK_KHR_cooperative_matrix"));
  }
  EXPECT_EQ(paths.few_tokens,
            limits.has_fast_int_dot ? "integer dot products, int8" : "plain arithmetic, f32");
  EXPECT_EQ(product_paths(99).prompts, "");
}

// F32 weights keep all of f32, and a few rows need no tiles.
TEST_F(VulkanTiles, AreForPromptsOfOtherThanF32) {
  const auto name = [&](DType dtype, std::int64_t rows) {
    return std::string(choose_matmul(*device_, {dtype, Layout::rows, Layout::rows, 64, rows}).name);
  };
  EXPECT_EQ(name(DType::F32, 64), "gemm f32");
  EXPECT_EQ(name(DType::F16, kGemvTokens), "gemv f32");
  EXPECT_EQ(name(DType::F16, kGemvTokens + 1), "gemm f16 emulated");
  device_ = open();
  EXPECT_EQ(name(DType::F16, kGemvTokens + 1), "gemm f32");
}

}  // namespace
}  // namespace strata::vulkan
