#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/parity/attention_case.h"

namespace strata::test {
namespace {

constexpr DType kCacheDTypes[] = {DType::F32, DType::F16, DType::BF16, DType::Q8_0};
constexpr int kHeadDims[] = {8, 16, 20, 32, 64, 80, 96, 128, 256};
constexpr int kPageTokens[] = {1, 4, 16, 64};
constexpr int kRatios[] = {1, 2, 3, 4, 7, 8, 71};

AttentionCase usual() { return {}; }

std::int64_t tokens_of(const std::vector<SequencePart>& parts) {
  std::int64_t tokens = 0;
  for (const SequencePart& part : parts) tokens += part.count;
  return tokens;
}

TEST(Attention, MatchesReferenceForEveryPairOfCacheTypes) {
  for_each_device(2, [](Device& device) {
    for (DType k : kCacheDTypes) {
      for (DType v : kCacheDTypes) {
        AttentionCase c = usual();
        c.k_dtype = k;
        c.v_dtype = v;
        check_attention(device, c);
      }
    }
  });
}

TEST(Attention, MatchesReferenceForEveryHeadDimAndPageSize) {
  for_each_device(2, [](Device& device) {
    for (int head_dim : kHeadDims) {
      for (int page_tokens : kPageTokens) {
        AttentionCase c = usual();
        c.head_dim = head_dim;
        c.page_tokens = page_tokens;
        check_attention(device, c);
      }
    }
  });
}

// Many tokens of caches that matrix instructions read: their kernels have sizes for head_dim.
TEST(Attention, MatchesReferenceForEveryHeadDimOfSmallCaches) {
  for_each_device(2, [](Device& device) {
    for (DType dtype : {DType::F16, DType::BF16}) {
      for (int head_dim : kHeadDims) {
        AttentionCase c = usual();
        c.head_dim = head_dim;
        c.k_dtype = c.v_dtype = dtype;
        c.parts = {{37, 9}, {0, 23}};
        c.heads = 6;
        c.window = head_dim == 64 ? 30 : 0;
        check_attention(device, c);
      }
    }
  });
}

TEST(Attention, MatchesReferenceForGroupedQueries) {
  for_each_device(2, [](Device& device) {
    for (int ratio : kRatios) {
      for (int kv_heads : {1, 3}) {
        AttentionCase c = usual();
        c.kv_heads = kv_heads;
        c.heads = kv_heads * ratio;
        check_attention(device, c);
      }
    }
  });
}

TEST(Attention, MatchesReferenceForEveryBatch) {
  for_each_device(2, [](Device& device) {
    for (const std::vector<SequencePart>& parts : {std::vector<SequencePart>{{0, 1}},
                                                   {{40, 1}},
                                                   {{5, 1}, {77, 1}},
                                                   {{0, 17}},
                                                   {{31, 16}, {2, 1}},
                                                   {{0, 130}},
                                                   {{63, 65}, {0, 64}, {200, 1}}}) {
      if (tokens_of(parts) > largest_batch()) continue;
      for (bool interleaved : {false, true}) {
        AttentionCase c = usual();
        c.parts = parts;
        c.interleaved = interleaved;
        check_attention(device, c);
      }
    }
  });
}

TEST(Attention, MatchesReferenceWithASlidingWindow) {
  for_each_device(2, [](Device& device) {
    for (int window : {1, 2, 15, 16, 17, 40, 1000}) {
      for (DType dtype : {DType::F32, DType::Q8_0}) {
        AttentionCase c = usual();
        c.window = window;
        c.k_dtype = c.v_dtype = dtype;
        c.parts = {{0, 50}, {130, 3}, {15, 1}, {16, 1}};
        check_attention(device, c);
      }
    }
  });
}

// Scores far apart: one key takes all, and the running maximum moves from page to page.
TEST(Attention, MatchesReferenceForSharpScores) {
  for_each_device(2, [](Device& device) {
    AttentionCase c = usual();
    c.q_largest = 60.0F;
    c.page_tokens = 4;
    check_attention(device, c);
  });
}

// Contexts of several chunks, which are split between threads when there are few tokens.
TEST(Attention, MatchesReferenceForLongContexts) {
  for (int threads : {1, 2, 5}) {
    for_each_device(threads, [threads](Device& device) {
      if (threads > 1 && !exact_bits(device)) return;  // the CPU's threads
      for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::Q8_0}) {
        for (int window : {0, 600}) {
          AttentionCase c = usual();
          c.page_tokens = 48;
          c.window = window;
          c.k_dtype = c.v_dtype = dtype;
          c.heads = 8;
          c.parts = {{1300, 1}, {510, 4}, {3, 1}};
          check_attention(device, c);
        }
      }
    });
  }
}

// Few query rows read several heads of a page in one go: two, three or all six of them.
TEST(Attention, MatchesReferenceWhereAnItemHasSeveralHeads) {
  for (int threads : {1, 2, 3}) {
    for_each_device(threads, [](Device& device) {
      for (const std::vector<SequencePart>& parts :
           {std::vector<SequencePart>{{1700, 1}}, {{3300, 1}}, {{700, 2}, {1200, 1}}}) {
        AttentionCase c = usual();
        c.kv_heads = 6;
        c.heads = 12;
        c.page_tokens = 64;
        c.k_dtype = c.v_dtype = DType::F16;
        c.parts = parts;
        check_attention(device, c);
      }
    });
  }
}

TEST(Attention, TokensThatSeeNothingGetZeros) {
  for_each_device(2, [](Device& device) {
    for (int window : {0, 8}) {
      AttentionCase c = usual();
      c.window = window;
      c.padding = true;
      check_attention(device, c);
    }
  });
}

TEST(Attention, OnlyMinusInfinityScoresGiveZerosAndNanIsNotLost) {
  for_each_device(1, [](Device& device) {
    StepBlock step({1, 1, 1, 4});
    step.add_token(0, 3);
    const HostTensor pages({DType::F32, Layout::rows, {1, 1, 4, 16}});
    const HostTensor q = HostTensor::f32(1, 16);
    const HostTensor out = HostTensor::f32(1, 16);
    const auto attend = [&](float key) {
      std::fill_n(pages.row(0), 64, 1.0F);
      std::fill_n(pages.row(2), 16, key);
      std::fill_n(q.row(0), 16, 1.0F);
      run_op(device, Attention{1, 1, 16, 1.0F, 2},
             {q.view(), pages.view(), pages.view(), step.view()}, {}, {out.view()});
      return out.row(0)[0];
    };
    EXPECT_EQ(attend(1.0F), 1.0F);
    EXPECT_TRUE(std::isnan(attend(NAN)));
    std::fill_n(pages.row(0), 64, -INFINITY);
    std::fill_n(q.row(0), 16, 1.0F);
    const HostTensor values({DType::F32, Layout::rows, {1, 1, 4, 16}});
    std::fill_n(values.row(0), 64, 1.0F);
    run_op(device, Attention{1, 1, 16, 1.0F, 0},
           {q.view(), pages.view(), values.view(), step.view()}, {}, {out.view()});
    EXPECT_EQ(out.row(0)[0], 0.0F);
  });
}

TEST(Attention, RefusesWhatItCannotRead) {
  for_each_device(1, [](Device& device) {
    const HostTensor q = HostTensor::f32(1, 160);
    StepBlock step({1, 1, 1, 4});
    const auto supported = [&](DType k, int heads, int kv_heads, int window) {
      HostTensor pages({DType::F32, Layout::rows, {1, kv_heads, 4, 80}});
      TensorView keys = pages.view();
      keys.dtype = k;
      return op_supports(device, Attention{heads, kv_heads, 80, 1.0F, window},
                         {q.view(), keys, pages.view(), step.view()}, {}, {q.view()});
    };
    EXPECT_TRUE(supported(DType::F16, 2, 1, 0));
    EXPECT_FALSE(supported(DType::Q8_0, 2, 1, 0)) << "80 is no multiple of 32";
    EXPECT_FALSE(supported(DType::Q4_0, 2, 1, 0));
    EXPECT_FALSE(supported(DType::F16, 3, 2, 0));
    EXPECT_FALSE(supported(DType::F16, 2, 1, -1));
  });
}

// Few tokens, so that the context is split: short and longer than there are parts, and nothing
// seen.
TEST(Attention, WritesWhatQuantizeMakesOfItsResult) {
  for_each_device(2, [](Device& device) {
    AttentionCase c = usual();
    const BackendKind backend = device.info().id.backend;
    const bool must = backend == BackendKind::simt_host || backend == BackendKind::vulkan;
    for (const int head_dim : {32, 96, 256}) {
      c.head_dim = head_dim;
      c.heads = head_dim == 96 ? 10 : 4;
      c.parts = {{0, 1}, {70, 2}};
      c.padding = head_dim == 32;
      for (const Layout layout : {Layout::quantized, Layout::rounded}) {
        const bool direct = check_attention_layout(device, c, layout);
        EXPECT_TRUE(direct || !must) << head_dim;
      }
    }
    c = usual();
    c.parts = {{2100, 1}};
    check_attention_layout(device, c, Layout::quantized);
    c.head_dim = 80;  // blocks of 32 columns would lie in two heads
    EXPECT_FALSE(check_attention_layout(device, c, Layout::quantized));
  });
}

}  // namespace
}  // namespace strata::test
