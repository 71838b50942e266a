#pragma once

namespace strata::cpu {

/// Orders in which the kernel read_bytes can read: the fastest differs from machine to machine.
inline constexpr int kReadShapes = 3;
/// read_bytes reads whole multiples of this many bytes.
inline constexpr int kReadGrain = 1024;

}  // namespace strata::cpu
