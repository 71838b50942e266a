#include "bench/kernels/random_weights.h"

#include <array>
#include <cstring>

#include "runtime/core/half.h"

namespace strata::bench {
namespace {

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // [-1, 1)
  float uniform() {
    return static_cast<float>(static_cast<std::int64_t>(next() >> 40) - (1 << 23)) * 0x1p-23F;
  }

 private:
  std::uint64_t state_;
};

// Where a block keeps its scales as f16 (-1: nowhere), and how large they are.
struct Scales {
  std::array<int, 2> at;
  float size;
};

Scales scales_of(DType dtype) {
  switch (dtype) {
    case DType::Q4_0:
    case DType::Q5_0:
      return {{0, -1}, 0x1p-9F};
    case DType::Q8_0:
    case DType::IQ4_NL:
      return {{0, -1}, 0x1p-12F};
    case DType::Q4_1:
    case DType::Q5_1:
      return {{0, 2}, 0x1p-9F};
    case DType::Q2_K:
      return {{80, 82}, 0x1p-11F};
    case DType::Q3_K:
      return {{108, -1}, 0x1p-13F};
    case DType::Q4_K:
    case DType::Q5_K:
      return {{0, 2}, 0x1p-14F};
    case DType::Q6_K:
      return {{208, -1}, 0x1p-17F};
    case DType::IQ4_XS:
      return {{0, -1}, 0x1p-16F};
    default:
      return {{-1, -1}, 0};
  }
}

void fill_plain(DType dtype, std::span<std::byte> bytes, Random& random) {
  const std::size_t size = dtype_info(dtype).block_bytes;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    const float value = random.uniform() * 0x1p-5F;
    const std::uint16_t half = dtype == DType::F16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::F32)
      std::memcpy(&bytes[at], &value, sizeof(value));
    else
      std::memcpy(&bytes[at], &half, sizeof(half));
  }
}

}  // namespace

void fill_random(DType dtype, std::span<std::byte> bytes, std::uint64_t seed) {
  Random random(seed);
  if (!is_quantized(dtype)) return fill_plain(dtype, bytes, random);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.next();
    std::memcpy(&bytes[at], &word, std::min(sizeof(word), bytes.size() - at));
  }
  const Scales scales = scales_of(dtype);
  const std::size_t block = dtype_info(dtype).block_bytes;
  for (std::size_t at = 0; at < bytes.size(); at += block) {
    for (int field : scales.at) {
      const std::uint16_t half = f32_to_f16((1.5F + random.uniform() * 0.5F) * scales.size);
      if (field >= 0)
        std::memcpy(&bytes[at + static_cast<std::size_t>(field)], &half, sizeof(half));
    }
    // An exponent: 2 to the power of byte - 128.
    if (dtype == DType::MXFP4) bytes[at] = static_cast<std::byte>(118 + random.next() % 4);
  }
}

void fill_uniform(std::span<float> values, std::uint64_t seed) {
  Random random(seed);
  for (float& value : values) value = random.uniform();
}

}  // namespace strata::bench
