// The float matmul kernels of every variant, called with tasks of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "backends/cpu/kernels/kernels.h"
#include "runtime/core/half.h"
#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"
#include "tests/reference/linear.h"

namespace strata::test::weights {
namespace {

constexpr double kUnit = 0x1p-24;  // half an ulp of f32, relative

// A matmul of random operands: BF16 weights take x rounded to bf16, all others f32.
struct Case {
  Case(DType w_dtype, std::int64_t token_count, std::int64_t rows, std::int64_t columns)
      : dtype(w_dtype), tokens(token_count), n(rows), k(columns) {
    w = random_weights(dtype, n, k, 11);
    up = random_weights(dtype, n, k, 12);
    bias = random_floats(n, 13);
    residual = random_floats(tokens * n, 14);
    for (float value : random_floats(tokens * k, 15)) {
      if (dtype == DType::BF16) value = bf16_to_f32(f32_to_bf16(value));
      x.push_back(value);
      halves.push_back(f32_to_bf16(value));
    }
  }

  const std::byte* x_data() const {
    return reinterpret_cast<const std::byte*>(dtype == DType::BF16
                                                  ? static_cast<const void*>(halves.data())
                                                  : static_cast<const void*>(x.data()));
  }

  cpu::LinearTask task(std::vector<float>& out) const {
    cpu::LinearTask t{};
    t.x = x_data();
    t.x_stride = k * (dtype == DType::BF16 ? 2 : 4);
    t.w = w.data();
    t.w_stride = static_cast<std::int64_t>(row_bytes(dtype, k));
    t.w_dtype = dtype;
    t.n = n;
    t.k = k;
    t.out = out.data();
    t.out_stride = n * 4;
    t.residual_stride = n * 4;
    t.rows = tokens;
    t.routes_per_x = 1;
    return t;
  }

  std::vector<float> zeros() const {
    return std::vector<float>(static_cast<std::size_t>(tokens * n));
  }

  // Roundings that a term of a sum goes through at most: 3 of a weight, 2 per step of a chunk, 4
  // of the tree, one per chunk.
  double relative_error() const {
    const std::int64_t columns = dtype == DType::BF16 ? 32 : 16;
    const std::int64_t steps = std::min<std::int64_t>(64, k / columns + 1);
    return static_cast<double>(3 + 2 * steps + 4 + k / (64 * columns) + 2) * kUnit;
  }

  // Sum for token t and row r of w or of up.
  reference::Sum sum(const std::vector<std::byte>& matrix, std::int64_t t, std::int64_t r) const {
    const auto stride = static_cast<std::int64_t>(row_bytes(dtype, k));
    const std::vector<double> row(x.begin() + t * k, x.begin() + (t + 1) * k);
    return reference::dot(row, reference::row_elements(dtype, matrix.data() + r * stride, k), 0.0);
  }

  DType dtype;
  std::int64_t tokens, n, k;
  std::vector<std::byte> w, up;
  std::vector<float> x, bias, residual;
  std::vector<std::uint16_t> halves;
};

struct Variant {
  const cpu::Kernels* kernels;
  void run(const cpu::LinearTask& task, std::int64_t begin, std::int64_t end) const {
    std::vector<float> scratch(static_cast<std::size_t>(
        std::max(cpu::kScratchRows * (task.k + 15) / 16 * 16 + 16, cpu::kFloatScratchBytes / 4)));
    auto* at = reinterpret_cast<std::byte*>(scratch.data());
    if (task.w_dtype == DType::BF16)
      kernels->linear_bf16(task, begin, end, at);
    else
      kernels->linear_f32(task, begin, end, at);
  }
};

void for_each_variant(const std::function<void(const Variant&)>& body) {
  for (const std::string& isa : runnable_isas()) {
    SCOPED_TRACE(isa);
    body({&cpu::select_kernels(isa.c_str())});
  }
}

TEST(LinearFloat, EveryBatchFollowsTheReference) {
  struct Shape {
    std::int64_t tokens, n, k;
  };
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    for (const Shape& s : {Shape{1, 1, 1},
                           {2, 3, 31},
                           {3, 15, 33},
                           {1, 70, 2113},
                           {17, 21, 1057},
                           {130, 67, 100},
                           {512, 5, 65},
                           {257, 7, 2113},
                           {519, 5, 65},
                           {7, 6, 4129}}) {
      const Case c(dtype, s.tokens, s.n, s.k);
      for_each_variant([&](const Variant& variant) {
        std::vector<float> out = c.zeros();
        variant.run(c.task(out), 0, c.n);
        for (std::int64_t t = 0; t < c.tokens; ++t) {
          for (std::int64_t r = 0; r < c.n; ++r) {
            const reference::Sum want = c.sum(c.w, t, r);
            ASSERT_NEAR(out[static_cast<std::size_t>(t * c.n + r)], want.value,
                        c.relative_error() * want.magnitude)
                << dtype_info(dtype).name << " k " << c.k << " token " << t << " row " << r;
          }
        }
      });
    }
  }
}

TEST(LinearFloat, BiasAndResidualAreAdded) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::Q4_K}) {
    const Case c(dtype, 9, 37, 256);
    for_each_variant([&](const Variant& variant) {
      std::vector<float> plain = c.zeros();
      variant.run(c.task(plain), 0, c.n);
      std::vector<float> out = c.residual;
      cpu::LinearTask task = c.task(out);
      task.bias = c.bias.data();
      task.residual = reinterpret_cast<const std::byte*>(out.data());  // in place
      variant.run(task, 0, c.n);
      for (std::size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], plain[i] + c.bias[i % 37] + c.residual[i]) << i;
    });
  }
}

TEST(LinearFloat, GatedPairsFollowTheReference) {
  struct Shape {
    DType dtype;
    std::int64_t tokens, k;
  };
  for (const auto& [dtype, tokens, k] : {Shape{DType::F32, 11, 256},
                                         {DType::F16, 11, 256},
                                         {DType::BF16, 11, 256},
                                         {DType::Q4_K, 11, 256},
                                         {DType::F32, 260, 1041},
                                         {DType::BF16, 260, 2081}}) {
    const Case c(dtype, tokens, 37, k);
    for_each_variant([&](const Variant& variant) {
      std::vector<float> out = c.zeros();
      cpu::LinearTask task = c.task(out);
      task.w_up = c.up.data();
      variant.run(task, 0, 32);
      variant.run(task, 32, c.n);
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        for (std::int64_t r = 0; r < c.n; ++r) {
          const reference::Sum gate = c.sum(c.w, t, r);
          const reference::Sum up = c.sum(c.up, t, r);
          const double silu = gate.value / (1.0 + std::exp(-gate.value));
          // silu' is below 1.1; the function itself is good to 8 units.
          const double error = 1.1 * c.relative_error() * gate.magnitude * std::abs(up.value) +
                               c.relative_error() * up.magnitude * (std::abs(silu) + 1e-4) +
                               8 * kUnit * std::abs(silu * up.value);
          ASSERT_NEAR(out[static_cast<std::size_t>(t * c.n + r)], silu * up.value, error)
              << dtype_info(dtype).name << " token " << t << " row " << r;
        }
      }
    });
  }
}

// A value depends on its row of w and its row of x only.
TEST(LinearFloat, SameBitsWhateverTheTile) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::Q6_K}) {
    const Case c(dtype, 301, 99, dtype == DType::Q6_K ? 2304 : 2177);  // by panels
    for_each_variant([&](const Variant& variant) {
      std::vector<float> all = c.zeros();
      variant.run(c.task(all), 0, c.n);
      for (const std::int64_t count : {1, 2, 3, 4, 5, 6, 7, 17, 101, 256}) {
        std::vector<float> part = c.zeros();
        cpu::LinearTask task = c.task(part);
        task.x += (c.tokens - count) * task.x_stride;
        task.rows = count;
        variant.run(task, 0, 16);
        variant.run(task, 16, 80);
        variant.run(task, 80, c.n);
        const auto size = static_cast<std::size_t>(count * c.n);
        ASSERT_EQ(std::memcmp(part.data(), &all[all.size() - size], size * sizeof(float)), 0)
            << dtype_info(dtype).name << " " << count << " tokens";
      }
    });
  }
}

TEST(LinearFloat, RoutesPickTheRowsOfXAndOut) {
  const Case c(DType::BF16, 6, 20, 96);
  const std::vector<std::int32_t> routes{5, 0, 3};
  for_each_variant([&](const Variant& variant) {
    std::vector<float> all = c.zeros();
    variant.run(c.task(all), 0, c.n);
    std::vector<float> out = c.zeros();
    cpu::LinearTask task = c.task(out);
    task.routes = routes.data();
    task.routes_per_x = 2;
    task.rows = 3;
    variant.run(task, 0, c.n);
    for (std::size_t to = 0; to < 6; ++to)
      for (std::size_t r = 0; r < 20; ++r)
        ASSERT_EQ(out[to * 20 + r], to == 5 || to == 0 || to == 3 ? all[to / 2 * 20 + r] : 0.0F)
            << "row " << to;
  });
}

// Weights below the smallest normal f16 keep their value.
TEST(LinearFloat, SubnormalF16WeightsCount) {
  const std::vector<float> x(16, 1.0F);
  const std::vector<std::uint16_t> w(16, 1);  // 2^-24
  for_each_variant([&](const Variant& variant) {
    float out = 0;
    cpu::LinearTask task{};
    task.x = reinterpret_cast<const std::byte*>(x.data());
    task.w = reinterpret_cast<const std::byte*>(w.data());
    task.w_dtype = DType::F16;
    task.n = task.rows = 1;
    task.k = 16;
    task.out = &out;
    variant.run(task, 0, 1);
    EXPECT_EQ(out, 0x1p-20F);
  });
}

// To nearest even on every variant, tiny values and the not finite included.
TEST(LinearFloat, RoundingToBf16IsExact) {
  std::vector<float> x = random_floats(37, 3);
  for (std::uint32_t bits : {0x00000001u, 0x00008000u, 0x00018000u, 0x007fffffu, 0x80012345u,
                             0x3f808000u, 0x3f818000u, 0x3f808001u, 0x7f7fffffu, 0x7f800000u,
                             0xff800000u, 0x7f800001u, 0xffc12345u, 0x80000000u}) {
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    x.insert(x.begin() + 5, value);
    x.push_back(value);
  }
  for (const std::string& isa : runnable_isas()) {
    std::vector<std::uint16_t> got(x.size() + 1, 0xa5a5);
    cpu::select_kernels(isa.c_str())
        .round_row(x.data(), static_cast<std::int64_t>(x.size()),
                   reinterpret_cast<std::byte*>(got.data()));
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_EQ(got[i], f32_to_bf16(x[i])) << isa << " " << x[i];
    EXPECT_EQ(got.back(), 0xa5a5) << isa;
  }
}

}  // namespace
}  // namespace strata::test::weights
