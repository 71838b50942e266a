// The fused op gives the bits of the ops that it stands for.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/parity/op_run.h"

namespace strata::test {
namespace {

struct AppendCase {
  RopeStyle style = RopeStyle::half_split;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 64;
  int rot_dim = 64;
  int tokens = 5;
  bool norms = true;
  DType k_dtype = DType::F16;
  DType v_dtype = DType::F16;
};

constexpr int kPageTokens = 8;

// Two sequences take turns, every fourth token is padding.
StepBlock make_step(const AppendCase& c) {
  const int pages = c.tokens / kPageTokens + 3;
  StepBlock step({c.tokens, 2, pages, kPageTokens});
  for (int p = 0; p < 2 * pages; ++p) step.state().pages(0)[p] = 2 * pages - 1 - p;
  for (int t = 0; t < c.tokens; ++t) step.add_token(t % 2, t % 4 == 3 ? -1 : t / 2 + 7);
  return step;
}

struct Result {
  std::vector<std::byte> q;
  std::vector<std::byte> k;
  std::vector<std::byte> v;
};

class Appender {
 public:
  Appender(Device& device, const AppendCase& c)
      : device_(device),
        case_(c),
        step_(make_step(c)),
        q_(HostTensor::f32(c.tokens, c.heads * c.head_dim, 64)),
        k_(HostTensor::f32(c.tokens, c.kv_heads * c.head_dim, 128)),
        v_(HostTensor::f32(c.tokens, c.kv_heads * c.head_dim)),
        q_norm_({DType::F32, Layout::rows, {c.head_dim}}),
        k_norm_({DType::F32, Layout::rows, {c.head_dim}}),
        inv_freq_({DType::F32, Layout::rows, {c.rot_dim / 2}}),
        rope_{c.style, c.head_dim, c.rot_dim, 1.25F} {
    std::mt19937 random(static_cast<unsigned>(c.tokens + c.head_dim));
    for (const HostTensor* x : {&q_, &k_, &v_, &q_norm_, &k_norm_}) x->randomize(random, 2.0F);
    for (int i = 0; i < c.rot_dim / 2; ++i)
      inv_freq_.row(0)[i] = static_cast<float>(std::pow(1e4, -2.0 * i / c.rot_dim));
  }

  Result fused() const {
    const HostTensor k_pages = pages(case_.k_dtype);
    const HostTensor v_pages = pages(case_.v_dtype);
    const HostTensor out = HostTensor::f32(case_.tokens, case_.heads * case_.head_dim, 64);
    const TensorView none{};
    run_op(device_, RopeAppend{rope_, case_.kv_heads, kEps},
           {q_.view(), k_.view(), v_.view(), case_.norms ? q_norm_.view() : none,
            case_.norms ? k_norm_.view() : none, inv_freq_.view(), step_.view()},
           {k_pages.view(), v_pages.view()}, {out.view()});
    EXPECT_TRUE(out.guards_intact() && k_pages.guards_intact() && v_pages.guards_intact());
    return {out.bytes(), k_pages.bytes(), v_pages.bytes()};
  }

  Result one_by_one() const {
    const HostTensor k_pages = pages(case_.k_dtype);
    const HostTensor v_pages = pages(case_.v_dtype);
    const HostTensor q = turned(q_, q_norm_);
    const HostTensor k = turned(k_, k_norm_);
    run_op(device_, KvAppend{case_.kv_heads, case_.head_dim}, {k.view(), v_.view(), step_.view()},
           {k_pages.view(), v_pages.view()}, {});
    return {q.bytes(), k_pages.bytes(), v_pages.bytes()};
  }

 private:
  static constexpr float kEps = 1e-6F;

  HostTensor pages(DType dtype) const {
    return HostTensor(
        {dtype,
         Layout::rows,
         {2 * (case_.tokens / kPageTokens + 3), case_.kv_heads, kPageTokens, case_.head_dim}});
  }

  HostTensor turned(const HostTensor& x, const HostTensor& norm) const {
    HostTensor normed = HostTensor::f32(x.view().rows(), x.view().columns());
    HostTensor out = HostTensor::f32(x.view().rows(), x.view().columns());
    if (case_.norms) run_op(device_, RmsNorm{kEps}, {x.view(), norm.view()}, {}, {normed.view()});
    run_op(device_, rope_, {case_.norms ? normed.view() : x.view(), inv_freq_.view(), step_.view()},
           {}, {out.view()});
    return out;
  }

  Device& device_;
  AppendCase case_;
  StepBlock step_;
  HostTensor q_, k_, v_, q_norm_, k_norm_, inv_freq_;
  Rope rope_;
};

void check(Device& device, const AppendCase& c) {
  const Appender appender(device, c);
  const Result fused = appender.fused();
  const Result want = appender.one_by_one();
  EXPECT_TRUE(fused.q == want.q) << "q";
  EXPECT_TRUE(fused.k == want.k) << "keys";
  EXPECT_TRUE(fused.v == want.v) << "values";
}

TEST(RopeAppend, GivesTheBitsOfItsExpansion) {
  for_each_device(3, [](Device& device) {
    for (RopeStyle style : {RopeStyle::half_split, RopeStyle::interleaved}) {
      for (bool norms : {false, true}) {
        for (std::int64_t tokens : batches({1, 2, 17, 130})) {
          AppendCase c;
          c.style = style;
          c.norms = norms;
          c.tokens = static_cast<int>(tokens);
          check(device, c);
        }
      }
    }
  });
}

TEST(RopeAppend, WorksForEveryShapeAndCacheType) {
  for_each_device(2, [](Device& device) {
    for (DType k : {DType::F32, DType::F16, DType::BF16, DType::Q8_0}) {
      for (DType v : {DType::F16, DType::Q8_0}) {
        AppendCase c;
        c.k_dtype = k;
        c.v_dtype = v;
        c.head_dim = 96;
        c.rot_dim = 80;
        c.heads = 7;
        c.kv_heads = 1;
        check(device, c);
      }
    }
    for (int head_dim : {8, 20, 80, 128, 256}) {
      AppendCase c;
      c.head_dim = head_dim;
      c.rot_dim = head_dim;
      check(device, c);
    }
  });
}

TEST(RopeAppend, RefusesWhatItCannotStore) {
  for_each_device(1, [](Device& device) {
    const HostTensor q = HostTensor::f32(1, 160);
    const HostTensor k = HostTensor::f32(1, 80);
    const HostTensor inv_freq({DType::F32, Layout::rows, {40}});
    const HostTensor norm({DType::F32, Layout::rows, {80}});
    StepBlock step({1, 1, 1, 4});
    const auto supported = [&](DType dtype, const TensorView& q_norm) {
      const HostTensor pages({DType::F32, Layout::rows, {1, 1, 4, 80}});
      TensorView keys = pages.view();
      keys.dtype = dtype;
      return op_supports(
          device, RopeAppend{{RopeStyle::half_split, 80, 80, 1.0F}, 1, 1e-6F},
          {q.view(), k.view(), k.view(), q_norm, norm.view(), inv_freq.view(), step.view()},
          {keys, pages.view()}, {q.view()});
    };
    EXPECT_TRUE(supported(DType::F16, norm.view()));
    EXPECT_TRUE(supported(DType::F16, {}));
    EXPECT_FALSE(supported(DType::Q8_0, norm.view())) << "80 is no multiple of 32";
    EXPECT_FALSE(supported(DType::F16, inv_freq.view())) << "a norm of another length";
  });
}

}  // namespace
}  // namespace strata::test
