#include "tests/simt_host/shared_area.h"

#include <algorithm>
#include <cstring>

#include "tests/simt_host/sanitizers.h"

namespace strata::simt_host {
namespace {

constexpr std::size_t kGuard = 256;
constexpr std::byte kPattern{0xC3};
// As f32: NaN, 3.39e38 and -2.9e-16.
constexpr int kGarbage[] = {0xFF, 0x7F, 0xA5};

}  // namespace

// The first address of which the guard fits below that is 16 bytes off a multiple of 32.
std::byte* SharedArea::start() const {
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data()) + kGuard;
  return reinterpret_cast<std::byte*>((address + 31) / 32 * 32 + 16);
}

std::byte* SharedArea::begin_block(std::size_t bytes, std::uint64_t seed) {
  release();
  bytes_ = bytes;
  if (memory_.size() < bytes + 3 * kGuard) memory_.resize(bytes + 3 * kGuard);
  std::memset(memory_.data(), static_cast<int>(kPattern), memory_.size());
  std::byte* data = start();
  std::memset(data, kGarbage[seed % 3], bytes);
  poison(memory_.data(), static_cast<std::size_t>(data - memory_.data()));
  poison(data + bytes, static_cast<std::size_t>(memory_.data() + memory_.size() - data) - bytes);
  return data;
}

bool SharedArea::guards_intact() const {
  if (kGuardsTrap) return true;
  const std::byte* data = start();
  const auto intact = [](std::byte value) { return value == kPattern; };
  return std::all_of(memory_.data(), data, intact) &&
         std::all_of(data + bytes_, memory_.data() + memory_.size(), intact);
}

void SharedArea::release() { unpoison(memory_.data(), memory_.size()); }

}  // namespace strata::simt_host
