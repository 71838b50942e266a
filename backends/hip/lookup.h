#pragma once

// The HIP twin of lookup.h; see backends/cuda/lookup.h.

#include "platform.h"

namespace strata::STRATA_SIMT {

struct NibbleTable {
  unsigned words[4];
};

/// Byte i of the result is byte s of the 8 bytes of low and high, s being byte i of `selectors`.
STRATA_DEVICE unsigned pick_bytes(unsigned low, unsigned high, unsigned selectors) {
#if defined(__HIP_DEVICE_COMPILE__) && defined(__AMDGCN__)
  return __builtin_amdgcn_perm(high, low, selectors);
#else
  const std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
  unsigned picked = 0;
  for (int i = 0; i < 32; i += 8)
    picked |= static_cast<unsigned>(both >> ((selectors >> i & 7u) * 8) & 255u) << i;
  return picked;
#endif
}

/// Entries of four indices below 16, one in each byte.
STRATA_DEVICE unsigned look_up_bytes(unsigned indices, const NibbleTable& table) {
  const unsigned selectors = indices & 0x07070707u;
  const unsigned low = pick_bytes(table.words[0], table.words[1], selectors);
  const unsigned high = pick_bytes(table.words[2], table.words[3], selectors);
  const unsigned upper = (indices >> 3 & 0x01010101u) * 255u;
  return (high & upper) | (low & ~upper);
}

STRATA_DEVICE Int2 look_up(unsigned packed, const NibbleTable& table) {
  return {static_cast<int>(look_up_bytes(packed & 0x0f0f0f0fu, table)),
          static_cast<int>(look_up_bytes(packed >> 4 & 0x0f0f0f0fu, table))};
}

}  // namespace strata::STRATA_SIMT
