#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>

#include "tests/parity/op_run.h"
#include "tests/reference/cache_codec.h"

namespace strata::test {
namespace {

constexpr DType kCacheDTypes[] = {DType::F32, DType::F16, DType::BF16, DType::Q8_0};

struct AppendCase {
  DType k;
  DType v;
  int kv_heads;
  int head_dim;
  int page_tokens;
  int tokens;
};

// Three sequences of different lengths take turns; their pages lie anywhere.
StepBlock ragged_step(const AppendCase& c, int pages_per_sequence, std::mt19937& random) {
  StepBlock step({c.tokens, 3, pages_per_sequence, c.page_tokens});
  std::vector<std::int32_t> pages(static_cast<std::size_t>(3 * pages_per_sequence));
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), random);
  std::copy(pages.begin(), pages.end(), step.state().pages(0));
  int next[3] = {0, 5, 1};
  for (int t = 0; t < c.tokens; ++t) step.add_token(t % 3, next[t % 3]++);
  return step;
}

void write_expected(const AppendCase& c, const StepBlock& step, const HostTensor& rows, DType dtype,
                    const HostTensor& pages) {
  for (int t = 0; t < c.tokens; ++t) {
    const std::int32_t position = step.state().positions()[t];
    if (position < 0) continue;
    const std::int32_t page =
        step.state().pages(step.state().sequences()[t])[position / c.page_tokens];
    for (int h = 0; h < c.kv_heads; ++h) {
      const float* head = rows.row(t) + h * c.head_dim;
      const std::vector<std::byte> bytes =
          reference::encode_row(dtype, {head, static_cast<std::size_t>(c.head_dim)});
      std::memcpy(
          pages.view().row((page * c.kv_heads + h) * c.page_tokens + position % c.page_tokens),
          bytes.data(), bytes.size());
    }
  }
}

void check_append(Device& device, const AppendCase& c, bool with_padding = false) {
  std::mt19937 random(static_cast<unsigned>(c.tokens * 7 + c.head_dim));
  const int pages_per_sequence = (c.tokens / 3 + 6) / c.page_tokens + 1;
  StepBlock step = ragged_step(c, pages_per_sequence, random);
  if (with_padding) step.state().positions()[c.tokens / 2] = -1;
  const HostTensor k = HostTensor::f32(c.tokens, c.kv_heads * c.head_dim, 64);
  const HostTensor v = HostTensor::f32(c.tokens, c.kv_heads * c.head_dim);
  k.randomize(random, 4.0F);
  v.randomize(random, 0.01F);
  const Shape shape{3 * pages_per_sequence, c.kv_heads, c.page_tokens, c.head_dim};
  const HostTensor k_pages({c.k, Layout::rows, shape});
  const HostTensor v_pages({c.v, Layout::rows, shape});
  const HostTensor k_want({c.k, Layout::rows, shape});
  const HostTensor v_want({c.v, Layout::rows, shape});
  write_expected(c, step, k, c.k, k_want);
  write_expected(c, step, v, c.v, v_want);
  run_op(device, KvAppend{c.kv_heads, c.head_dim}, {k.view(), v.view(), step.view()},
         {k_pages.view(), v_pages.view()}, {});
  EXPECT_TRUE(k_pages.guards_intact() && v_pages.guards_intact());
  EXPECT_TRUE(k_pages.bytes() == k_want.bytes()) << "keys in " << dtype_info(c.k).name;
  EXPECT_TRUE(v_pages.bytes() == v_want.bytes()) << "values in " << dtype_info(c.v).name;
}

TEST(KvAppend, WritesOnlyTheTokensRows) {
  for_each_device(2, [](Device& device) {
    for (DType k : kCacheDTypes)
      for (DType v : kCacheDTypes)
        for (std::int64_t tokens : batches({1, 2, 17, 130}))
          check_append(device, {k, v, 2, 64, 16, static_cast<int>(tokens)});
  });
}

TEST(KvAppend, WorksForEveryShape) {
  for_each_device(2, [](Device& device) {
    for (int head_dim : {8, 16, 32, 80, 128})
      for (int page_tokens : {1, 4, 64})
        for (DType dtype : kCacheDTypes)
          if (dtype != DType::Q8_0 || head_dim % 32 == 0)
            check_append(device, {dtype, dtype, 3, head_dim, page_tokens, 17});
  });
}

TEST(KvAppend, SkipsPaddingTokens) {
  for_each_device(2, [](Device& device) {
    check_append(device, {DType::F16, DType::F32, 1, 32, 4, 9}, /*with_padding=*/true);
  });
}

// Denormals, halfway cases, overflow and infinity, per dtype, as the reference rounds them.
TEST(KvAppend, RoundsOddValuesAsTheReferenceDoes) {
  const float odd[] = {0.0F,         -0.0F,           1.0F + 0x1p-11F, 1.0F + 3 * 0x1p-11F,
                       0x1.004p-14F, 0x1p-24F,        0x1p-25F,        0x1.8p-25F,
                       65504.0F,     65519.0F,        65520.0F,        1e30F,
                       -65536.0F,    0x1.fffffep127F, INFINITY,        -INFINITY,
                       1e-40F,       -1e-45F,         1.0F + 0x1p-8F,  1.0F + 3 * 0x1p-8F};
  for_each_device(1, [&](Device& device) {
    for (DType dtype : {DType::F16, DType::BF16, DType::F32}) {
      StepBlock step({1, 1, 1, 1});
      step.add_token(0, 0);
      const HostTensor rows = HostTensor::f32(1, 20);
      std::copy(std::begin(odd), std::end(odd), rows.row(0));
      const HostTensor k({dtype, Layout::rows, {1, 1, 1, 20}});
      const HostTensor v({dtype, Layout::rows, {1, 1, 1, 20}});
      run_op(device, KvAppend{1, 20}, {rows.view(), rows.view(), step.view()}, {k.view(), v.view()},
             {});
      EXPECT_EQ(k.bytes(), reference::encode_row(dtype, {odd, 20})) << dtype_info(dtype).name;
    }
  });
}

TEST(KvAppend, QuantizedBlocksOfOddValues) {
  for_each_device(1, [](Device& device) {
    for (float value : {0.0F, 1e-40F, 1e-30F, 3e38F}) {
      StepBlock step({1, 1, 1, 1});
      step.add_token(0, 0);
      const HostTensor rows = HostTensor::f32(1, 32);
      std::fill_n(rows.row(0), 32, -value);
      const HostTensor k({DType::Q8_0, Layout::rows, {1, 1, 1, 32}});
      const HostTensor v({DType::Q8_0, Layout::rows, {1, 1, 1, 32}});
      run_op(device, KvAppend{1, 32}, {rows.view(), rows.view(), step.view()}, {k.view(), v.view()},
             {});
      // Too small for an f16 scale: zero. Too large: infinite, and so seen by who reads it.
      for (double x : reference::decode_row(DType::Q8_0, k.bytes()))
        EXPECT_EQ(x, value > 1.0F ? -INFINITY : 0.0);
    }
  });
}

TEST(KvAppend, QuantizedTiesGoAwayFromZero) {
  for_each_device(1, [](Device& device) {
    StepBlock step({1, 1, 1, 1});
    step.add_token(0, 0);
    const HostTensor rows = HostTensor::f32(1, 32);
    const float odd[] = {127.0F, 0.5F,   -0.5F,       1.5F,         -1.5F,       2.5F,
                         -2.5F,  126.5F, 0.49999997F, -0.49999997F, 0.0F,        -0.0F,
                         1e-40F, 63.5F,  -126.5F,     1.4999999F,   -1.4999999F, 64.499996F};
    for (int i = 0; i < 32; ++i) rows.row(0)[i] = odd[static_cast<std::size_t>(i) % std::size(odd)];
    const HostTensor k({DType::Q8_0, Layout::rows, {1, 1, 1, 32}});
    run_op(device, KvAppend{1, 32}, {rows.view(), rows.view(), step.view()}, {k.view(), k.view()},
           {});
    EXPECT_EQ(k.bytes(), reference::encode_row(DType::Q8_0, {rows.row(0), 32}));
  });
}

TEST(KvAppend, ANanIsNotLost) {
  for_each_device(1, [](Device& device) {
    for (DType dtype : kCacheDTypes) {
      StepBlock step({1, 1, 1, 1});
      step.add_token(0, 0);
      const HostTensor rows = HostTensor::f32(1, 32);
      std::fill_n(rows.row(0), 32, 1.0F);
      rows.row(0)[5] = NAN;
      const HostTensor k({dtype, Layout::rows, {1, 1, 1, 32}});
      run_op(device, KvAppend{1, 32}, {rows.view(), rows.view(), step.view()}, {k.view(), k.view()},
             {});
      EXPECT_TRUE(std::isnan(reference::decode_row(dtype, k.bytes())[5]));
    }
  });
}

TEST(KvAppend, RefusesWhatItCannotStore) {
  for_each_device(1, [](Device& device) {
    const HostTensor rows = HostTensor::f32(1, 80);
    StepBlock step({1, 1, 1, 1});
    const auto supported = [&](DType k, DType v, std::int64_t head_dim) {
      const HostTensor k_pages({k, Layout::rows, {1, 1, 1, 64}});
      TensorView keys = k_pages.view();
      keys.shape[3] = head_dim;
      TensorView values = keys;
      values.dtype = v;
      return op_supports(device, KvAppend{1, 80}, {rows.view(), rows.view(), step.view()},
                         {keys, values}, {});
    };
    EXPECT_TRUE(supported(DType::F16, DType::F32, 80));
    EXPECT_FALSE(supported(DType::Q8_0, DType::F32, 80)) << "80 is no multiple of 32";
    EXPECT_FALSE(supported(DType::F16, DType::Q4_0, 80));
    EXPECT_FALSE(supported(DType::F16, DType::F16, 64)) << "not the op's head_dim";
  });
}

}  // namespace
}  // namespace strata::test
