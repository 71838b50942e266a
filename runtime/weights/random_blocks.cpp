#include "runtime/weights/random_blocks.h"

#include <cmath>
#include <cstring>
#include <string>

#include "runtime/core/error.h"
#include "runtime/core/half.h"

namespace strata {
namespace {

// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// In [0, 1), from the upper bits.
double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// The sum of four uniform numbers, close enough to a normal one; variance 1.
double near_normal(std::uint64_t bits) {
  constexpr double kDeviation = 37837.0;  // of that sum: sqrt(4 * 65536^2 / 12)
  const auto sum = static_cast<double>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                       ((bits >> 32) & 0xffff) + (bits >> 48));
  return (sum - 4 * 32767.5) / kDeviation;
}

void store_half(std::byte* at, double value) {
  const std::uint16_t bits = f32_to_f16(static_cast<float>(value));
  std::memcpy(at, &bits, sizeof bits);
}

using Block = std::byte*;

// -128 is what no quantizer of Q8_0 writes, and kernels may rely on that.
void fix_q8_0(Block block, std::uint64_t) {
  for (int i = 2; i < 34; ++i)
    if (block[i] == std::byte{0x80}) block[i] = std::byte{0x81};
}

// The minimum of a group is its scale, or differs in the last bit: so the group's mean is near 0.
void fix_q2_k(Block block, std::uint64_t bits) {
  for (int i = 0; i < 16; ++i) {
    const std::byte scale = block[i] & std::byte{15};
    const auto flip = static_cast<std::byte>((bits >> i) & 1);
    block[i] = scale | ((scale ^ flip) << 4);
  }
}

// The same for the packed 6-bit pairs of Q4_K and Q5_K: scales of groups 0-3 in the low bits of
// bytes 0-3, their minima in 4-7; groups 4-7 have their low nibbles (scale, minimum) in 8-11 and
// their upper bits above those of the first groups.
void fix_q4_k(Block block, std::uint64_t bits) {
  std::byte* scales = block + 4;
  for (int i = 0; i < 4; ++i) {
    const auto flip = static_cast<std::byte>((bits >> i) & 1);
    scales[4 + i] = scales[i] ^ flip;
    const std::byte low = scales[8 + i] & std::byte{15};
    const auto flip_high = static_cast<std::byte>((bits >> (4 + i)) & 1);
    scales[8 + i] = low | ((low ^ flip_high) << 4);
  }
}

/// How to make a block of random bytes sane.
struct Recipe {
  DType dtype;
  double unit;        ///< root mean square of the values under a scale of 1
  int scale = -1;     ///< offset of the f16 scale
  int minimum = -1;   ///< offset of the f16 minimum's scale, or the minimum
  double centre = 0;  ///< minimum's scale over scale: what makes the mean 0
  bool either_sign = false;
  void (*fix)(Block block, std::uint64_t bits) = nullptr;
};

// units: q of b bits has the variance (4^b - 1) / 12 around its mean, and what is added to it is
// either a minimum (mean 0) or an offset of half the range, off by one half.
constexpr Recipe kRecipes[] = {
    {DType::Q4_0, 4.637, 0, -1, 0, true},
    {DType::Q4_1, 4.610, 0, 2, -7.5},
    {DType::Q5_0, 9.247, 0, -1, 0, true},
    {DType::Q5_1, 9.233, 0, 2, -15.5},
    {DType::Q8_0, 73.6, 0, -1, 0, false, fix_q8_0},
    {DType::Q2_K, 9.90, 80, 82, 1.5, false, fix_q2_k},
    {DType::Q3_K, 43.33, 108, -1, 0, true},
    {DType::Q4_K, 168.4, 0, 2, 7.5, false, fix_q4_k},
    {DType::Q5_K, 337.4, 0, 2, 15.5, false, fix_q4_k},
    {DType::Q6_K, 1365.7, 208, -1, 0, true},
    {DType::IQ4_NL, 67.44, 0, -1, 0, true},
    {DType::IQ4_XS, 1246.3, 0, -1, 0, true},
};

const Recipe* recipe_of(DType dtype) {
  for (const Recipe& recipe : kRecipes)
    if (recipe.dtype == dtype) return &recipe;
  return nullptr;
}

void fill_bytes(Random& random, std::span<std::byte> out) {
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= out.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t bits = random.next();
    std::memcpy(out.data() + at, &bits, sizeof bits);
  }
  const std::uint64_t bits = random.next();
  std::memcpy(out.data() + at, &bits, out.size() - at);
}

void fill_scaled(const Recipe& recipe, double deviation, Random& random, std::span<std::byte> out) {
  constexpr double kSpread = 1.0408;  // root mean square of 0.5 .. 1.5
  const std::size_t block_bytes = dtype_info(recipe.dtype).block_bytes;
  fill_bytes(random, out);
  for (std::size_t at = 0; at < out.size(); at += block_bytes) {
    const Block block = out.data() + at;
    const std::uint64_t bits = random.next();
    double scale = deviation / (recipe.unit * kSpread) * (0.5 + unit_interval(bits));
    if (recipe.either_sign && (bits & 1) != 0) scale = -scale;
    store_half(block + recipe.scale, scale);
    if (recipe.minimum >= 0) store_half(block + recipe.minimum, recipe.centre * scale);
    if (recipe.fix != nullptr) recipe.fix(block, random.next());
  }
}

// Scales are powers of two: the two around the wanted one, so often that the variance is right.
void fill_mxfp4(double deviation, Random& random, std::span<std::byte> out) {
  constexpr double kUnit = 2.926;  // root mean square of 0, 0.5, 1, 1.5, 2, 3, 4, 6
  constexpr int kBias = 127;
  const double exponent = std::log2(deviation / kUnit);
  const double lower = std::floor(exponent);
  const double upper_share = (std::exp2(2 * (exponent - lower)) - 1) / 3;
  fill_bytes(random, out);
  for (std::size_t at = 0; at < out.size(); at += dtype_info(DType::MXFP4).block_bytes) {
    const int up = unit_interval(random.next()) < upper_share ? 1 : 0;
    out[at] = static_cast<std::byte>(kBias + static_cast<int>(lower) + up);
  }
}

template <class T, class Convert>
void fill_numbers(double deviation, Random& random, std::span<std::byte> out, Convert convert) {
  for (std::size_t at = 0; at < out.size(); at += sizeof(T)) {
    const T value = convert(static_cast<float>(deviation * near_normal(random.next())));
    std::memcpy(out.data() + at, &value, sizeof(T));
  }
}

}  // namespace

bool has_random_blocks(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

void fill_random_blocks(DType dtype, double deviation, std::uint64_t seed,
                        std::span<std::byte> out) {
  Random random(seed);
  if (const Recipe* recipe = recipe_of(dtype)) {
    fill_scaled(*recipe, deviation, random, out);
  } else if (dtype == DType::MXFP4) {
    fill_mxfp4(deviation, random, out);
  } else if (dtype == DType::F32) {
    fill_numbers<float>(deviation, random, out, [](float f) { return f; });
  } else if (dtype == DType::F16) {
    fill_numbers<std::uint16_t>(deviation, random, out, f32_to_f16);
  } else if (dtype == DType::BF16) {
    fill_numbers<std::uint16_t>(deviation, random, out, f32_to_bf16);
  } else {
    throw Error(ErrorCode::runtime, std::string(dtype_info(dtype).name), "holds no weights");
  }
}

std::uint64_t derive_seed(std::uint64_t seed, std::string_view name, std::uint64_t piece) {
  std::uint64_t hash = Random(seed).next();
  for (char c : name) hash = Random(hash ^ static_cast<unsigned char>(c)).next();
  return Random(hash ^ piece).next();
}

}  // namespace strata
