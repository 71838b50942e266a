#include "tests/reference/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"
#include "tests/support/shared_data.h"

namespace strata::test::weights {
namespace {

std::vector<char> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Blocks made by ggml's quantizers, or of random bits, and their exact values.
struct Fixture {
  std::string name;
  DType dtype;
  std::vector<char> blocks;
  std::vector<float> values;
};

std::vector<Fixture> fixtures() {
  std::vector<Fixture> found;
  for (DType dtype : weight_dtypes()) {
    for (const char* kind : {"", ".random"}) {
      Fixture fixture{std::string(dtype_info(dtype).name) + kind, dtype, {}, {}};
      const auto folder = shared_root() / "fixtures" / "quants";
      fixture.blocks = read_file(folder / (fixture.name + ".blocks"));
      if (fixture.blocks.empty()) continue;  // a plain number has none
      const std::vector<char> values = read_file(folder / (fixture.name + ".f32"));
      fixture.values.resize(values.size() / sizeof(float));
      std::memcpy(fixture.values.data(), values.data(), values.size());
      found.push_back(std::move(fixture));
    }
  }
  return found;
}

// Equal, or the neighbouring float: one rounding where the order of operations differs.
bool within_one_rounding(float got, float want) {
  return got == want || std::nextafter(want, got) == got;
}

std::vector<float> dequantize(const std::string& isa, DType dtype, const std::byte* blocks,
                              std::int64_t columns) {
  std::vector<float> values(static_cast<std::size_t>(columns) + 1, 42.0F);
  cpu::select_kernels(isa.c_str()).dequantize_row(dtype, blocks, columns, values.data());
  EXPECT_EQ(values.back(), 42.0F) << "wrote beyond the row";
  values.pop_back();
  return values;
}

TEST(Dequantize, ReferenceGivesTheValuesOfOtherPrograms) {
  STRATA_NEEDS_SHARED();
  const auto all = fixtures();
  EXPECT_EQ(all.size(), 26u) << "13 block types, ggml's blocks and random bits";
  for (const Fixture& fixture : all) {
    const auto* blocks = reinterpret_cast<const std::byte*>(fixture.blocks.data());
    for (std::size_t i = 0; i < fixture.values.size(); ++i) {
      const double value =
          reference::element(fixture.dtype, blocks, static_cast<std::int64_t>(i)).value;
      ASSERT_TRUE(within_one_rounding(static_cast<float>(value), fixture.values[i]))
          << fixture.name << " element " << i << ": " << value << ", want " << fixture.values[i];
    }
  }
}

TEST(Dequantize, EveryVariantGivesTheExactValues) {
  STRATA_NEEDS_SHARED();
  for (const std::string& isa : runnable_isas()) {
    for (const Fixture& fixture : fixtures()) {
      const auto got =
          dequantize(isa, fixture.dtype, reinterpret_cast<const std::byte*>(fixture.blocks.data()),
                     static_cast<std::int64_t>(fixture.values.size()));
      for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_TRUE(within_one_rounding(got[i], fixture.values[i]))
            << isa << " " << fixture.name << " element " << i << ": " << got[i] << ", want "
            << fixture.values[i];
    }
  }
}

TEST(Dequantize, EveryVariantGivesTheSameBitsFromAnyAddress) {
  const std::int64_t columns = 768;
  for (DType dtype : weight_dtypes()) {
    const auto aligned = random_weights(dtype, 1, columns, 7);
    std::vector<std::byte> shifted(aligned.size() + 1);
    std::memcpy(shifted.data() + 1, aligned.data(), aligned.size());
    const auto want = dequantize("baseline", dtype, aligned.data(), columns);
    const auto exact = reference::row_elements(dtype, aligned.data(), columns);
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(want[i], exact[i].value, 0x1.8p-23 * exact[i].magnitude)
          << dtype_info(dtype).name << " element " << i;
    for (const std::string& isa : runnable_isas()) {
      const auto got = dequantize(isa, dtype, shifted.data() + 1, columns);
      EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
          << isa << " " << dtype_info(dtype).name;
    }
  }
}

TEST(Dequantize, EveryHalfIsExact) {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  const auto* bytes = reinterpret_cast<const std::byte*>(halves.data());
  for (const std::string& isa : runnable_isas()) {
    const auto f16 = dequantize(isa, DType::F16, bytes, 65536);
    // An odd count, so that the rest behind the last whole vector is met too.
    const auto bf16 = dequantize(isa, DType::BF16, bytes, 65535);
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const double want = reference::half_value(halves[i]);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(f16[i])) << isa << " f16 " << i;
      } else {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(f16[i]),
                  std::bit_cast<std::uint32_t>(static_cast<float>(want)))
            << isa << " f16 " << i;
      }
      if (i < bf16.size()) {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(bf16[i]), static_cast<std::uint32_t>(i) << 16)
            << isa << " bf16 " << i;
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
