// The shaders of matmuls as other devices get them: without subgroup sums and integer dot products,
// and with the tiles and unrolling of a GPU where this device is a CPU. All agree with what the ops
// choose here, which the parity tests hold against the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "backends/vulkan/ops/matmul.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

constexpr std::int64_t kK = 512;
constexpr std::int64_t kN = 37;
constexpr std::int64_t kRows = 5;
constexpr std::int64_t kExperts = 2;

// Blocks of random bytes whose scales, halves at `scales`, are 2^-4.
std::vector<std::byte> random_blocks(DType dtype, std::initializer_list<std::size_t> scales) {
  std::mt19937 random(7);
  std::vector<std::byte> bytes(static_cast<std::size_t>(kExperts * kN) * row_bytes(dtype, kK));
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const std::uint16_t half = 0x2c00;
  for (std::size_t at = 0; at < bytes.size(); at += dtype_info(dtype).block_bytes)
    for (const std::size_t scale : scales) std::memcpy(&bytes[at + scale], &half, sizeof(half));
  return bytes;
}

// Rows of Layout::quantized, or of f32.
std::vector<std::byte> random_x(bool int8) {
  std::mt19937 random(9);
  if (!int8) {
    std::vector<float> values(static_cast<std::size_t>(kRows * kK));
    for (float& v : values) v = std::uniform_real_distribution<float>(-1, 1)(random);
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }
  const std::size_t row = layout_row_bytes(DType::I8, Layout::quantized, kK);
  std::vector<std::byte> bytes(static_cast<std::size_t>(kRows) * row);
  for (std::size_t r = 0; r < static_cast<std::size_t>(kRows); ++r) {
    std::byte* values = &bytes[r * row];
    std::int32_t sums[kK / 32] = {};
    std::int32_t halves[kK / 16] = {};
    float scales[kK / 32];
    std::fill(std::begin(scales), std::end(scales), 1.0F / 127);
    for (std::int64_t c = 0; c < kK; ++c) {
      const int v = static_cast<int>(random() % 255) - 127;
      values[c] = static_cast<std::byte>(v);
      sums[c / 32] -= 128 * v;
      halves[c / 16] -= 128 * v;
    }
    std::memcpy(values + kK, scales, sizeof(scales));
    std::memcpy(values + kK + sizeof(scales), sums, sizeof(sums));
    std::memcpy(values + kK + 2 * sizeof(scales), halves, sizeof(halves));
  }
  return bytes;
}

struct Blocks {
  DType dtype;
  std::initializer_list<std::size_t> scales;
};

class VulkanMatmul : public OnVulkan {
 protected:
  Buffer uploaded(Stream& stream, std::vector<std::byte> bytes) {
    Buffer buffer = device_bytes(bytes.size());
    stream.copy(span(buffer), span(bytes));
    return buffer;
  }

  static Address at(const Buffer& buffer) {
    return {reinterpret_cast<std::uint64_t>(buffer.data())};
  }

  // The ops' own choice for this shape, changed.
  MatmulKernel kernel(const MatmulShape& shape, std::string_view shader,
                      const std::function<void(MatmulConstants&)>& change) {
    MatmulKernel kernel = choose_matmul(*device_, shape);
    if (shader.empty()) return kernel;
    kernel.shader = shader;
    change(kernel.constants);
    std::array<std::uint32_t, sizeof(MatmulConstants) / 4> values{};
    std::memcpy(values.data(), &kernel.constants, sizeof(values));
    kernel.pipeline = device_->pipeline(shader, values);
    return kernel;
  }

  std::vector<float> linear(const Blocks& w, const MatmulShape& shape, std::string_view shader,
                            const std::function<void(MatmulConstants&)>& change) {
    auto stream = compute();
    const bool int8 = shape.x == Layout::quantized;
    const Buffer weights = uploaded(*stream, random_blocks(w.dtype, w.scales));
    const Buffer x = uploaded(*stream, random_x(int8));
    const Buffer out = device_bytes(kRows * kN * sizeof(float));
    MatmulPush push;
    push.x = at(x);
    push.w[0] = at(weights);
    push.w[1] = {at(weights).value + kN * row_bytes(w.dtype, kK)};  // of a gated pair
    push.out[0] = at(out);
    push.k = kK;
    push.x_stride = size32(static_cast<std::int64_t>(x.bytes()) / kRows);
    push.w_stride = static_cast<std::uint32_t>(row_bytes(w.dtype, kK));
    push.rows = kRows;
    push.n[0] = kN;
    push.out_stride[0] = kN * sizeof(float);
    run_matmul(*stream, kernel(shape, shader, change), push);
    return floats(bytes_of(*stream, span(out)));
  }

  // Route r is token r's; the first two belong to expert 0, the others to 1.
  std::vector<float> experts(const Blocks& w, const MatmulShape& shape, std::string_view shader,
                             const std::function<void(MatmulConstants&)>& change) {
    auto stream = compute();
    const Buffer weights = uploaded(*stream, random_blocks(w.dtype, w.scales));
    const Buffer x = uploaded(*stream, random_x(shape.x == Layout::quantized));
    const Buffer out = device_bytes(kRows * kN * sizeof(float));
    const std::int32_t routing[] = {0, 2, kRows, 0, 3, 1, 2, 4};  // offsets, order
    const auto bytes = std::as_bytes(std::span(routing));
    const Buffer routes = uploaded(*stream, {bytes.begin(), bytes.end()});
    const MatmulKernel chosen = kernel(shape, shader, change);
    ExpertsPush push;
    push.x = at(x);
    push.w = {at(weights), at(weights)};
    push.out = at(out);
    push.offsets = at(routes);
    push.order = {at(routes).value + 3 * sizeof(std::int32_t)};
    push.k = kK;
    push.x_stride = size32(static_cast<std::int64_t>(x.bytes()) / kRows);
    push.w_stride = static_cast<std::uint32_t>(row_bytes(w.dtype, kK));
    push.out_stride = kN * sizeof(float);
    push.n = push.expert_rows = kN;
    push.experts = kExperts;
    push.routes = kRows;
    dispatch(*stream, chosen.pipeline, push, groups(kN, chosen.out_rows()), kRows);
    return floats(bytes_of(*stream, span(out)));
  }

  static std::vector<float> floats(const std::vector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  // Two orders of summation of the same terms.
  static void expect_same(const std::vector<float>& got, const std::vector<float>& want,
                          const std::string& what) {
    float largest = 0;
    for (const float value : want) largest = std::max(largest, std::abs(value));
    ASSERT_GT(largest, 0) << what;
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 0x1p-15F * largest) << what << " output " << i;
  }
};

const Blocks kBlocks[] = {{DType::Q4_K, {0, 2}}, {DType::Q6_K, {208}}};

void plain(MatmulConstants& c) {
  c.lanes = 16;
  c.parts = c.lanes;
}

TEST_F(VulkanMatmul, WithoutSubgroupSumsAndIntegerDots) {
  for (const Blocks& w : kBlocks) {
    for (const Layout x : {Layout::rows, Layout::quantized}) {
      MatmulShape shape{w.dtype, Layout::rows, x, kK, kRows};
      const std::string what(dtype_info(w.dtype).name);
      const std::string suffix = x == Layout::rows ? "_plain" : "_int8_plain";
      const auto want = linear(w, shape, "", plain);
      expect_same(linear(w, shape, "gemv" + suffix, plain), want, what + suffix);
      shape.experts = kExperts;
      shape.routes = kRows;
      const auto routed = experts(w, shape, "", plain);
      expect_same(experts(w, shape, "gemv_experts" + suffix, plain), routed, what + suffix);
      // Expert 0 has the rows that `linear` has.
      expect_same({routed.begin(), routed.begin() + kN}, {want.begin(), want.begin() + kN}, what);
    }
  }
}

TEST_F(VulkanMatmul, AsGpusHaveIt) {
  for (const Blocks& w : kBlocks) {
    for (const bool gated : {false, true}) {
      MatmulShape shape{w.dtype, Layout::rows, Layout::rows, kK, kRows};
      shape.gated = gated;
      const std::string what = std::string(dtype_info(w.dtype).name) + (gated ? " gated" : "");
      const auto want = linear(w, shape, "", plain);
      auto four_rows = [](MatmulConstants& c) {
        c.rows = 4;
        c.tokens = 2;
        c.unroll = 16;
      };
      expect_same(linear(w, shape, "gemv", four_rows), want, what + " gemv");
      MatmulShape tiles = shape;
      tiles.tokens = kGemvTokens + 1;
      auto quads = [](MatmulConstants& c) {
        c.tokens = 32;
        c.parts = 2;
        c.unroll = 4;
        c.lanes = c.rows / 8 * (c.tokens / 4);
      };
      expect_same(linear(w, tiles, "gemm", quads), want, what + " gemm");
    }
  }
}

}  // namespace
}  // namespace strata::vulkan
