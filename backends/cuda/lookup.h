#pragma once

// The CUDA twin of lookup.h: a table of 16 bytes that nibbles index, held in registers.

#include "platform.h"

namespace strata::STRATA_SIMT {

/// Entry i is byte i % 4 of words[i / 4].
struct NibbleTable {
  unsigned words[4];
};

/// Of the 4 bytes of `packed`: the entries of their low nibbles in x, of their high ones in y.
STRATA_DEVICE Int2 look_up(unsigned packed, const NibbleTable& table) {
  // A byte permutation takes four selectors of 3 bits (and a sign bit, kept 0) from the low half of
  // a word: it looks all nibbles up in both halves of the table, and then takes one by bit 3.
  const unsigned index = packed & 0x77777777u;
  const unsigned half = (packed & 0x88888888u) >> 1 | 0x32103210u;
  unsigned pairs[2];  // entries of both nibbles of two bytes, as they lie in them
  STRATA_UNROLL
  for (int i = 0; i < 2; ++i) {
    const unsigned low = __byte_perm(table.words[0], table.words[1], index >> (16 * i));
    const unsigned high = __byte_perm(table.words[2], table.words[3], index >> (16 * i));
    pairs[i] = __byte_perm(low, high, half >> (16 * i));
  }
  return {static_cast<int>(__byte_perm(pairs[0], pairs[1], 0x6420)),
          static_cast<int>(__byte_perm(pairs[0], pairs[1], 0x7531))};
}

}  // namespace strata::STRATA_SIMT
