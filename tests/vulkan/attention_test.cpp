// Attention on values that are no numbers: they reach those tokens that see them, and no others,
// although tokens of a tile share what is read of the cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "runtime/ops/op_impl.h"
#include "runtime/ops/step_state.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

constexpr std::int32_t kTokens = 70;  // more than are split between work groups
constexpr std::int32_t kHeads = 2;
constexpr std::int32_t kHeadDim = 32;
constexpr std::int32_t kPageTokens = 16;
constexpr std::int32_t kPages = 5;

class VulkanAttention : public OnVulkan {
 protected:
  Buffer uploaded(Stream& stream, const void* data, std::size_t bytes) {
    std::vector<std::byte> copy(bytes);
    std::memcpy(copy.data(), data, bytes);
    Buffer buffer = device_bytes(bytes);
    stream.copy(span(buffer), span(copy));
    stream.synchronize();
    return buffer;
  }
  Buffer uploaded(Stream& stream, const std::vector<float>& values) {
    return uploaded(stream, values.data(), values.size() * sizeof(float));
  }

  // One sequence from its first token on, in pages 0, 1, ...
  Buffer step(Stream& stream, std::size_t& bytes) {
    const StepCapacity capacity{kTokens, 1, kPages, kPageTokens};
    bytes = step_state_bytes(capacity);
    std::vector<std::byte> memory(bytes + 64);
    std::byte* block = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
    StepState& state = format_step_state(block, capacity);
    state.token_count = kTokens;
    for (std::int32_t t = 0; t < kTokens; ++t) {
      state.positions()[t] = t;
      state.sequences()[t] = 0;
    }
    for (std::int32_t p = 0; p < kPages; ++p) state.pages(0)[p] = p;
    return uploaded(stream, block, bytes);
  }

  // (tokens, heads * dim)
  std::vector<float> attend(const std::vector<float>& values, std::int32_t window) {
    auto stream = compute();
    std::size_t step_bytes = 0;
    const Buffer step_at = step(*stream, step_bytes);
    const TensorDesc q{DType::F32, Layout::rows, {kTokens, kHeads * kHeadDim}};
    const TensorDesc pages{DType::F32, Layout::rows, {kPages, 1, kPageTokens, kHeadDim}};
    const Buffer q_at = uploaded(*stream, random(kTokens * kHeads * kHeadDim, 1));
    const Buffer k_at = uploaded(*stream, random(kPages * kPageTokens * kHeadDim, 2));
    const Buffer v_at = uploaded(*stream, values);
    const Buffer out_at = device_bytes(byte_size(q));
    const TensorDesc state{DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_bytes)}};
    const OpDesc desc{
        Attention{kHeads, 1, kHeadDim, 0.2F, window}, {q, pages, pages, state}, {}, {q}};
    const PreparedOp op = device_->ops()[desc.kind()].prepare(*device_, desc);
    EXPECT_EQ(op.kernel, "attention tiles");
    const TensorView in[] = {dense_view(q_at.data(), q), dense_view(k_at.data(), pages),
                             dense_view(v_at.data(), pages), dense_view(step_at.data(), state)};
    const TensorView out[] = {dense_view(out_at.data(), q)};
    op.run(*stream, op, {in, {}, out}, {});
    const std::vector<std::byte> bytes = bytes_of(*stream, span(out_at));
    std::vector<float> result(bytes.size() / sizeof(float));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }

  static std::vector<float> random(std::int64_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = uniform(engine);
    return values;
  }
};

TEST_F(VulkanAttention, NansReachThoseTokensThatSeeThem) {
  constexpr std::int32_t kAt = 41;
  for (const std::int32_t window : {0, 12}) {
    std::vector<float> values = random(kPages * kPageTokens * kHeadDim, 3);
    const std::vector<float> clean = attend(values, window);
    for (const float odd :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::fill_n(values.begin() + kAt * kHeadDim, kHeadDim, odd);
      const std::vector<float> got = attend(values, window);
      for (std::size_t i = 0; i < got.size(); ++i) {
        const auto token = static_cast<std::int32_t>(i) / (kHeads * kHeadDim);
        const bool sees = token >= kAt && (window == 0 || token < kAt + window);
        ASSERT_TRUE(sees ? !std::isfinite(got[i]) : got[i] == clean[i])
            << "token " << token << ", window " << window << ": " << got[i];
      }
    }
  }
}

}  // namespace
}  // namespace strata::vulkan
