#pragma once

// The twin of lookup.h for the CPU; see backends/cuda/lookup.h.

#include "platform.h"

namespace strata::STRATA_SIMT {

struct NibbleTable {
  unsigned words[4];
};

inline Int2 look_up(unsigned packed, const NibbleTable& table) {
  const auto entry = [&](unsigned i) { return table.words[i / 4] >> (i % 4 * 8) & 255u; };
  unsigned low = 0;
  unsigned high = 0;
  for (unsigned byte = 0; byte < 4; ++byte) {
    low |= entry(packed >> (8 * byte) & 15u) << (8 * byte);
    high |= entry(packed >> (8 * byte + 4) & 15u) << (8 * byte);
  }
  return {static_cast<int>(low), static_cast<int>(high)};
}

}  // namespace strata::STRATA_SIMT
