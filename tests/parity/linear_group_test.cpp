#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/parity/device_run.h"
#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kK = 256;
constexpr std::array<std::int64_t, 3> kN{33, 16, 100};

struct Member {
  Tensor w;
  Tensor bias;
  Tensor out;
};

Member member(Device& device, DType dtype, std::size_t i, std::int64_t rows, bool pack) {
  const std::int64_t n = kN[i];
  Member m;
  m.w = tensor_of({dtype, Layout::rows, {n, kK}}, random_weights(dtype, n, kK, 30 + i).data());
  if (pack) m.w = packed(device, m.w);
  m.bias = tensor_of({DType::F32, Layout::rows, {n}}, random_floats(n, 40 + i).data());
  m.out = make_tensor({DType::F32, Layout::rows, {rows, n}}, std::byte{0xff});
  return m;
}

std::vector<float> linear(Device& device, const TensorView& x, const Member& m,
                          const TensorView& bias) {
  const Tensor out = make_tensor({DType::F32, Layout::rows, {x.rows(), m.w.view.rows()}});
  run_op(device, Linear{}, {x, m.w.view, bias, {}}, {out.view});
  return floats_of(out.view);
}

// The group's outputs have the bits of a linear each; the middle one has a bias.
void check(Device& device, const TensorView& x, const std::vector<DType>& dtypes, bool pack,
           const std::string& what) {
  std::vector<Member> members;
  for (std::size_t i = 0; i < dtypes.size(); ++i)
    members.push_back(member(device, dtypes[i], i, x.rows(), pack));
  std::vector<TensorView> in(7);
  std::vector<TensorView> out(3);
  in[0] = x;
  for (std::size_t i = 0; i < members.size(); ++i) {
    in[1 + i] = members[i].w.view;
    out[i] = members[i].out.view;
  }
  in[5] = members[1].bias.view;
  run_op(device, LinearGroup{}, in, out);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto want = linear(device, x, members[i], i == 1 ? in[5] : TensorView{});
    expect_same(device, floats_of(out[i]), want, what + ", output " + std::to_string(i));
  }
}

TEST(LinearGroup, GivesTheBitsOfItsLinears) {
  for (const std::string& isa : device_names()) {
    for (const std::int64_t rows : {1, 2, 17}) {
      const std::string what = isa + ", rows " + std::to_string(rows);
      const Tensor x =
          tensor_of({DType::F32, Layout::rows, {rows, kK}}, random_floats(rows * kK, 3).data());
      for (const int threads : {1, 2, 3}) {
        Device& device = test_device(isa, threads);
        check(device, x.view, {DType::F32, DType::F16, DType::F32}, false, what + " f32");
        if (!exact_bits(device)) {
          check(device, x.view, {DType::Q8_0, DType::Q4_0, DType::Q6_K}, true, what + " packed");
          check(device, x.view, {DType::Q4_0, DType::Q8_0}, false, what + " f32 rows, two");
          if (!takes(device, DType::Q8_0, Layout::quantized, rows)) continue;
        }
        const Tensor q = quantized(device, x);
        check(device, q.view, {DType::Q8_0, DType::Q4_0, DType::Q8_0}, true, what + " panels");
        check(device, q.view, {DType::Q4_0, DType::Q8_0}, false, what + " rows, two");
      }
    }
  }
}

// A weight whose row blocks are used up takes no part in a launch.
TEST(LinearGroup, LeavesOutWhatHasNoBlock) {
  Device& device = test_device(device_names()[0], 2);
  const Tensor x = tensor_of({DType::F32, Layout::rows, {2, kK}}, random_floats(2 * kK, 3).data());
  const Member first = member(device, DType::F32, 0, 2, false);
  const Member second = member(device, DType::F32, 1, 2, false);
  OpDesc desc{LinearGroup{}, std::vector<TensorDesc>(7), {}, std::vector<TensorDesc>(3)};
  auto describe = [](const TensorView& v) { return TensorDesc{v.dtype, v.layout, v.shape}; };
  desc.in[0] = describe(x.view);
  desc.in[1] = describe(first.w.view);
  desc.in[2] = describe(second.w.view);
  desc.out[0] = describe(first.out.view);
  desc.out[1] = describe(second.out.view);
  const PreparedOp op = device.ops()[OpKind::LinearGroup].prepare(device, desc);
  const std::vector<TensorView> in{x.view, {}, second.w.view, {}, {}, {}, {}};
  const std::vector<TensorView> out{{}, second.out.view, {}};
  run_prepared(device, op, in, {}, out);
  const auto want = linear(device, x.view, second, {});
  expect_same(device, floats_of(second.out.view), want, "the other");
  for (const float untouched : floats_of(first.out.view)) EXPECT_TRUE(std::isnan(untouched));
}

TEST(LinearGroup, RefusesWeightsThatReadXDifferently) {
  Device& device = test_device(device_names()[0], 1);
  auto supports = [&](DType a, DType b) {
    const TensorDesc x{DType::F32, Layout::rows, {1, kK}};
    OpDesc desc{
        LinearGroup{}, {x, {a, Layout::rows, {32, kK}}, {b, Layout::rows, {64, kK}}}, {}, {}};
    desc.in.resize(7);
    desc.out = infer_outputs(desc.attributes, desc.in);
    return device.ops()[OpKind::LinearGroup].supports(desc, device.info());
  };
  EXPECT_TRUE(supports(DType::F32, DType::F16));
  EXPECT_TRUE(supports(DType::Q8_0, DType::Q4_0));
  // Where weights of one dtype want f32 and the other's quantized activations.
  if (exact_bits(device)) {
    EXPECT_FALSE(supports(DType::F32, DType::Q4_0));
  }
  EXPECT_FALSE(supports(DType::F32, DType::I32));
}

}  // namespace
}  // namespace strata::test::weights
