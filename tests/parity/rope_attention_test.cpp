// Attention that turns its queries and appends its token itself has the bits of rope_append and of
// attention behind it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/parity/op_run.h"
#include "tests/reference/cache_codec.h"

namespace strata::test {
namespace {

struct FusedCase {
  RopeStyle style = RopeStyle::half_split;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 32;
  int rot_dim = 32;
  bool norms = true;
  int window = 0;
  int page_tokens = 8;
  DType k_dtype = DType::F16;
  DType v_dtype = DType::F16;
  std::vector<int> positions = {37};  ///< of a token each, in sequences of their own; -1: padding
  bool one_sequence = false;
  int live = -1;  ///< tokens that are there, when not all; behind them stands garbage
  Layout layout = Layout::rows;

  std::int64_t tokens() const { return static_cast<std::int64_t>(positions.size()); }
  int sequences() const { return one_sequence ? 1 : static_cast<int>(positions.size()); }
  int pages() const {  // of a sequence
    return *std::max_element(positions.begin(), positions.end()) / page_tokens + 2;
  }
};

StepBlock make_step(const FusedCase& c) {
  StepBlock step({static_cast<std::int32_t>(c.tokens()), c.sequences(), c.pages(), c.page_tokens});
  const int all = c.sequences() * c.pages();
  for (int p = 0; p < all; ++p) step.state().pages(0)[p] = all - 1 - p;
  for (int t = 0; t < c.tokens(); ++t)
    step.add_token(c.one_sequence ? 0 : t, c.positions[static_cast<std::size_t>(t)]);
  if (c.live < 0) return step;
  step.state().token_count = c.live;
  for (int t = c.live; t < c.tokens(); ++t) {
    step.state().positions()[t] = 0x7f7f7f7f;
    step.state().sequences()[t] = -0x7f7f7f7f;
  }
  return step;
}

// A cache that is full of numbers.
HostTensor make_pages(const FusedCase& c, DType dtype, unsigned seed) {
  HostTensor pages(
      {dtype,
       Layout::rows,
       {std::int64_t{c.sequences()} * c.pages(), c.kv_heads, c.page_tokens, c.head_dim}});
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-1.0F, 1.0F);
  std::vector<float> row(static_cast<std::size_t>(c.head_dim));
  for (std::int64_t r = 0; r < pages.view().rows(); ++r) {
    for (float& x : row) x = values(random);
    const std::vector<std::byte> bytes = reference::encode_row(dtype, row);
    std::memcpy(pages.view().row(r), bytes.data(), bytes.size());
  }
  return pages;
}

struct Operation {
  StepBlock step;
  HostTensor q, k, v, q_norm, k_norm, inv_freq;
  RopeAppend append;
  Attention attention;

  explicit Operation(const FusedCase& c)
      : step(make_step(c)),
        q(HostTensor::f32(c.tokens(), c.heads * c.head_dim, 64)),
        k(HostTensor::f32(c.tokens(), c.kv_heads * c.head_dim, 128)),
        v(HostTensor::f32(c.tokens(), c.kv_heads * c.head_dim)),
        q_norm({DType::F32, Layout::rows, {c.head_dim}}),
        k_norm({DType::F32, Layout::rows, {c.head_dim}}),
        inv_freq({DType::F32, Layout::rows, {c.rot_dim / 2}}),
        append{{c.style, c.head_dim, c.rot_dim, 1.25F}, c.kv_heads, 1e-6F},
        attention{c.heads, c.kv_heads, c.head_dim, 0.3F, c.window} {
    std::mt19937 random(static_cast<unsigned>(c.positions[0] + c.head_dim));
    for (const HostTensor* x : {&q, &k, &v, &q_norm, &k_norm}) x->randomize(random, 2.0F);
    for (int i = 0; i < c.rot_dim / 2; ++i)
      inv_freq.row(0)[i] = static_cast<float>(std::pow(1e4, -2.0 * i / c.rot_dim));
  }

  std::vector<TensorView> in(bool norms) const {
    const TensorView none{};
    return {q.view(),
            k.view(),
            v.view(),
            norms ? q_norm.view() : none,
            norms ? k_norm.view() : none,
            inv_freq.view(),
            step.view()};
  }
};

std::string name_of(const FusedCase& c) {
  return "head_dim " + std::to_string(c.head_dim) + ", heads " + std::to_string(c.heads) + "/" +
         std::to_string(c.kv_heads) + ", position " + std::to_string(c.positions[0]) + " of " +
         std::to_string(c.positions.size()) + ", window " + std::to_string(c.window) + ", K " +
         std::string(dtype_info(c.k_dtype).name) + ", V " +
         std::string(dtype_info(c.v_dtype).name) + ", " + std::string(layout_name(c.layout));
}

bool has_op(const Device& device) {
  return device.ops()[OpKind::RopeAttention].supports != nullptr;
}

void check(Device& device, const FusedCase& c) {
  if (!has_op(device)) return;
  SCOPED_TRACE(name_of(c));
  const Operation op(c);
  const std::int64_t columns = std::int64_t{c.heads} * c.head_dim;
  const TensorDesc desc{activation_dtype(c.layout), c.layout, {c.tokens(), columns}};
  HostTensor out[2] = {HostTensor(desc), HostTensor(desc)};
  HostTensor k_pages[2] = {make_pages(c, c.k_dtype, 1), make_pages(c, c.k_dtype, 1)};
  HostTensor v_pages[2] = {make_pages(c, c.v_dtype, 2), make_pages(c, c.v_dtype, 2)};
  const HostTensor turned = HostTensor::f32(c.tokens(), columns);
  run_op(device, op.append, op.in(c.norms), {k_pages[0].view(), v_pages[0].view()},
         {turned.view()});
  const std::vector<TensorView> attended{turned.view(), k_pages[0].view(), v_pages[0].view(),
                                         op.step.view()};
  const bool supported = op_supports(device, op.attention, attended, {}, {out[0].view()});
  const RopeAttention fused{op.append, op.attention};
  const std::vector<TensorView> pages{k_pages[1].view(), v_pages[1].view()};
  ASSERT_EQ(op_supports(device, fused, op.in(c.norms), pages, {out[1].view()}), supported);
  if (!supported) return;
  run_op(device, op.attention, attended, {}, {out[0].view()});
  run_op(device, fused, op.in(c.norms), pages, {out[1].view()});
  EXPECT_TRUE(out[1].guards_intact() && k_pages[1].guards_intact() && v_pages[1].guards_intact());
  EXPECT_TRUE(out[1].bytes() == out[0].bytes()) << "result";
  EXPECT_TRUE(k_pages[1].bytes() == k_pages[0].bytes()) << "keys";
  EXPECT_TRUE(v_pages[1].bytes() == v_pages[0].bytes()) << "values";
}

TEST(RopeAttention, GivesTheBitsOfItsPartsForEveryCacheType) {
  for_each_device(2, [](Device& device) {
    for (DType k : {DType::F32, DType::F16, DType::BF16, DType::Q8_0}) {
      for (DType v : {DType::F32, DType::F16, DType::BF16, DType::Q8_0}) {
        FusedCase c;
        c.k_dtype = k;
        c.v_dtype = v;
        check(device, c);
        c.head_dim = 96;
        c.rot_dim = 80;
        c.heads = 7;
        c.kv_heads = 1;
        if (k == v) check(device, c);
      }
    }
  });
}

// The first and the last position of a page, of a tile and of a part; several parts.
TEST(RopeAttention, GivesTheBitsOfItsPartsAtEveryBoundary) {
  for_each_device(2, [](Device& device) {
    for (int position : {0, 1, 7, 8, 31, 32, 63, 64, 95, 96, 300, 2047, 2048, 2111}) {
      for (int window : {0, 1, 33}) {
        FusedCase c;
        c.window = window;
        c.positions = {position};
        c.heads = c.kv_heads = position < 300 ? 2 : 1;
        c.head_dim = c.rot_dim = 16;
        check(device, c);
      }
    }
  });
}

TEST(RopeAttention, GivesTheBitsOfItsPartsForEveryShape) {
  for_each_device(2, [](Device& device) {
    for (RopeStyle style : {RopeStyle::half_split, RopeStyle::interleaved}) {
      for (bool norms : {false, true}) {
        for (int ratio : {1, 2, 3, 4, 7, 8, 9}) {  // the last in two parts
          FusedCase c;
          c.style = style;
          c.norms = norms;
          c.heads = 2 * ratio;
          check(device, c);
        }
      }
    }
    for (int head_dim : {4, 8, 20, 64, 80, 128, 256}) {
      FusedCase c;
      c.head_dim = head_dim;
      c.rot_dim = head_dim / 4 * 2;
      check(device, c);
      c.rot_dim = head_dim;
      check(device, c);
    }
  });
}

// Two, several and many tokens, of one sequence and of many; padding.
TEST(RopeAttention, GivesTheBitsOfItsPartsForEveryBatch) {
  for_each_device(2, [](Device& device) {
    for (bool one_sequence : {false, true}) {
      for (int tokens : {1, 2, 3, 17, 33}) {
        if (tokens > largest_batch()) continue;
        FusedCase c;
        c.one_sequence = one_sequence;
        c.positions.clear();
        for (int t = 0; t < tokens; ++t) c.positions.push_back(30 + t);
        check(device, c);
        c.positions.back() = -1;
        if (tokens > 1) check(device, c);
      }
    }
  });
}

// A step of less tokens than its capacity: zeros come out, and nothing goes to the cache.
TEST(RopeAttention, WhatIsNotThereIsNotAppended) {
  for_each_device(2, [](Device& device) {
    if (!has_op(device)) return;
    for (const std::vector<int>& positions : {std::vector<int>{40}, {40, 41, 42}}) {
      for (const Layout layout : {Layout::rows, Layout::quantized, Layout::rounded}) {
        FusedCase c;
        c.positions = positions;
        c.live = 0;
        c.layout = layout;
        check(device, c);
      }
    }
    FusedCase c;
    c.live = 0;
    const Operation op(c);
    const HostTensor out = HostTensor::f32(1, c.heads * c.head_dim);
    const HostTensor k_pages = make_pages(c, c.k_dtype, 1);
    run_op(device, RopeAttention{op.append, op.attention}, op.in(true),
           {k_pages.view(), make_pages(c, c.v_dtype, 2).view()}, {out.view()});
    EXPECT_TRUE(k_pages.bytes() == make_pages(c, c.k_dtype, 1).bytes());
    for (int i = 0; i < c.heads * c.head_dim; ++i) EXPECT_EQ(out.row(0)[i], 0.0F);
    c = {};
    c.positions = {40, 41, 42};
    c.live = 2;
    check(device, c);
    c = {};
    c.positions = {-1};
    check(device, c);
  });
}

TEST(RopeAttention, WritesWhatTheNextProductWants) {
  for_each_device(2, [](Device& device) {
    for (const Layout layout : {Layout::quantized, Layout::rounded}) {
      for (int head_dim : {32, 96, 80}) {  // of the last, blocks of 32 columns lie in two heads
        for (int tokens : {1, 2, 17}) {
          if (tokens > largest_batch()) continue;
          FusedCase c;
          c.layout = layout;
          c.head_dim = c.rot_dim = head_dim;
          c.positions.assign(static_cast<std::size_t>(tokens), 70);
          check(device, c);
        }
      }
    }
  });
}

TEST(RopeAttention, HoldsInManyOrders) {
  for_each_device(2, [](Device& device) {
    for (int position : {0, 45}) {
      FusedCase c;
      c.heads = 6;
      c.positions = {position};
      check(device, c);
      c.norms = false;  // their sums make warps wait for each other
      check(device, c);
      c.k_dtype = c.v_dtype = DType::Q8_0;
      c.positions = {position, -1};
      check(device, c);
    }
  });
}

TEST(RopeAttention, RefusesPartsThatDiffer) {
  for_each_device(1, [](Device& device) {
    if (!has_op(device)) return;
    const FusedCase c;
    const Operation op(c);
    const HostTensor out = HostTensor::f32(1, c.heads * c.head_dim);
    const HostTensor pages = make_pages(c, c.k_dtype, 1);
    const auto supported = [&](const RopeAppend& append, const Attention& attention) {
      return op_supports(device, RopeAttention{append, attention}, op.in(true),
                         {pages.view(), pages.view()}, {out.view()});
    };
    EXPECT_TRUE(supported(op.append, op.attention));
    Attention other = op.attention;
    other.head_dim = 64;
    other.heads = 2;
    EXPECT_FALSE(supported(op.append, other));
    RopeAppend append = op.append;
    append.kv_heads = 1;
    EXPECT_FALSE(supported(append, op.attention));
    append = op.append;
    append.rope.rot_dim = 31;
    EXPECT_FALSE(supported(append, op.attention));
  });
}

}  // namespace
}  // namespace strata::test
