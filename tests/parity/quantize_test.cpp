#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/parity/weight_ops.h"
#include "tests/reference/linear.h"

namespace strata::test::weights {
namespace {

Tensor row_of(const std::vector<float>& values) {
  return tensor_of({DType::F32, Layout::rows, {1, static_cast<std::int64_t>(values.size())}},
                   values.data());
}

float scale_at(const Tensor& q, std::int64_t row, std::int64_t block) {
  float scale = 0;
  std::memcpy(&scale, q.view.row(row) + q.view.columns() + 4 * block, sizeof(scale));
  return scale;
}

std::int32_t sum_at(const Tensor& q, std::int64_t row, std::int64_t block) {
  std::int32_t sum = 0;
  const std::int64_t k = q.view.columns();
  std::memcpy(&sum, q.view.row(row) + k + k / 32 * 4 + 4 * block, sizeof(sum));
  return sum;
}

int value_at(const Tensor& q, std::int64_t row, std::int64_t column) {
  return static_cast<std::int8_t>(q.view.row(row)[column]);
}

// Rows from 2^-20 to 2^20 in size.
Tensor sample(std::int64_t rows, std::int64_t k) {
  auto values = random_floats(rows * k, 31);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::ldexp(values[i], static_cast<int>(i / 32 % 41) - 20);
  return tensor_of({DType::F32, Layout::rows, {rows, k}}, values.data());
}

TEST(Quantize, EveryValueIsWithinHalfAStep) {
  for (std::int64_t rows : batches({1, 2, 17, 130})) {
    const std::int64_t k = 544;
    const Tensor x = sample(rows, k);
    for (const std::string& isa : device_names()) {
      const Tensor q = quantized(test_device(isa, 2), x);
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto* values = reinterpret_cast<const float*>(x.view.row(r));
        for (std::int64_t b = 0; b < k / 32; ++b) {
          float amax = 0;
          std::int32_t sum = 0;
          const double scale = scale_at(q, r, b);
          for (std::int64_t c = 32 * b; c < 32 * b + 32; ++c) {
            amax = std::max(amax, std::abs(values[c]));
            sum += value_at(q, r, c);
            // Half a step, and the roundings of x * (127 / amax) and of the scale.
            ASSERT_NEAR(value_at(q, r, c) * scale, values[c], scale * (0.5 + 127 * 0x1p-22))
                << isa << " row " << r << " column " << c;
          }
          // Between 127 and 120 steps to the largest value.
          ASSERT_GE(scale_at(q, r, b), amax / 127.0F * (1 - 0x1p-22F));
          ASSERT_LE(scale_at(q, r, b), amax / 120.0F * (1 + 0x1p-22F));
          ASSERT_EQ(sum_at(q, r, b), -128 * sum);
        }
      }
    }
  }
}

TEST(Quantize, TiesGoToEven) {
  // Whole numbers but for three ties, so that no other scale than 1 loses less.
  std::vector<float> values(32);
  values[0] = 127.0F;
  values[1] = 0.5F;
  values[2] = 1.5F;
  values[3] = -2.5F;
  values[4] = -127.0F;
  std::int32_t rest = 0;
  for (std::int32_t i = 5; i < 32; ++i) {
    values[static_cast<std::size_t>(i)] = static_cast<float>(i * 4 - 67);
    rest += i * 4 - 67;
  }
  for (const std::string& isa : device_names()) {
    const Tensor q = quantized(test_device(isa, 1), row_of(values));
    EXPECT_EQ(scale_at(q, 0, 0), 1.0F) << isa;
    EXPECT_EQ(value_at(q, 0, 1), 0) << isa;
    EXPECT_EQ(value_at(q, 0, 2), 2) << isa;
    EXPECT_EQ(value_at(q, 0, 3), -2) << isa;
    EXPECT_EQ(value_at(q, 0, 4), -127) << isa;
    EXPECT_EQ(sum_at(q, 0, 0), -128 * (rest + 127 + 0 + 2 - 2 - 127)) << isa;
  }
}

TEST(Quantize, ZerosAndTinyValuesAreZero) {
  for (float size : {0.0F, -0.0F, 1e-45F, 0x1p-130F}) {
    for (const std::string& isa : device_names()) {
      const Tensor q = quantized(test_device(isa, 1), row_of(std::vector<float>(32, size)));
      EXPECT_EQ(scale_at(q, 0, 0), 0.0F) << isa << " " << size;
      EXPECT_EQ(sum_at(q, 0, 0), 0) << isa << " " << size;
      for (std::int64_t c = 0; c < 32; ++c) EXPECT_EQ(value_at(q, 0, c), 0) << isa << " " << size;
    }
  }
}

// What is not a number must not come out as one; the other blocks are as they were.
TEST(Quantize, InfinityAndNanPoisonTheirBlock) {
  for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(64, 1.0F);
    values[40] = bad;
    for (const std::string& isa : device_names()) {
      Device& device = test_device(isa, 1);
      const Tensor q = quantized(device, row_of(values));
      EXPECT_FLOAT_EQ(scale_at(q, 0, 0), 1.0F / 127.0F) << isa;
      EXPECT_TRUE(std::isnan(scale_at(q, 0, 1))) << isa;
      if (!exact_bits(device) && !takes(device, DType::Q8_0, Layout::quantized, 1)) continue;
      const Tensor w = tensor_of({DType::Q8_0, Layout::rows, {3, 64}},
                                 random_weights(DType::Q8_0, 3, 64, 1).data());
      const Tensor out = make_tensor({DType::F32, Layout::rows, {1, 3}});
      run_op(device, Linear{}, {q.view, packed(device, w).view, {}}, {out.view});
      for (float value : floats_of(out.view)) EXPECT_TRUE(std::isnan(value)) << isa;
    }
  }
}

// End to end: what quantizing the activations may change is half a step per column.
TEST(Quantize, MatmulIsWithinTheBoundOfItsSteps) {
  const std::int64_t k = 256;
  const Tensor x = tensor_of({DType::F32, Layout::rows, {2, k}}, random_floats(2 * k, 33).data());
  for (DType dtype : weight_dtypes()) {
    if (!has_int8_path(dtype)) continue;
    const Tensor w =
        tensor_of({dtype, Layout::rows, {20, k}}, random_weights(dtype, 20, k, 34).data());
    for (const std::string& isa : device_names()) {
      Device& device = test_device(isa, 2);
      if (!exact_bits(device) && !takes(device, dtype, Layout::quantized, 2)) continue;
      const Tensor q = quantized(device, x);
      const Tensor out = make_tensor({DType::F32, Layout::rows, {2, 20}});
      run_op(device, Linear{}, {q.view, packed(device, w).view, {}}, {out.view});
      for (std::int64_t r = 0; r < 2; ++r) {
        const auto* values = reinterpret_cast<const float*>(x.view.row(r));
        for (std::int64_t n = 0; n < 20; ++n) {
          double exact = 0;
          double bound = 0;
          for (std::int64_t c = 0; c < k; ++c) {
            const auto element = reference::element(dtype, w.view.row(n), c);
            exact += element.value * values[c];
            bound += element.magnitude * scale_at(q, r, c / 32) * 0.5001;
          }
          EXPECT_NEAR(reinterpret_cast<const float*>(out.view.row(r))[n], exact, bound) << isa;
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
