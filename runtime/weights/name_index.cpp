#include "runtime/weights/name_index.h"

#include <xxhash.h>

#include <random>

namespace strata {

std::uint64_t hash_name(std::string_view name) {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32) | device();
  }();
  return XXH3_64bits_withSeed(name.data(), name.size(), seed);
}

}  // namespace strata
