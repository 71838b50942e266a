#pragma once

#include <cstdint>

// Small value types and what can be said of them in plain C++, the same on every twin. Included by
// platform.h.
namespace strata::STRATA_SIMT {

struct alignas(16) Int4 {
  int x, y, z, w;
};
struct alignas(8) Int2 {
  int x, y;
};
struct alignas(16) Float4 {
  float x, y, z, w;
};
struct alignas(8) Float2 {
  float x, y;
};

template <class T>
STRATA_BOTH T min_of(T a, T b) {
  return b < a ? b : a;
}
template <class T>
STRATA_BOTH T max_of(T a, T b) {
  return a < b ? b : a;
}
STRATA_BOTH bool is_nan(float x) { return x != x; }

/// Loads of 4, 8 or 16 bytes that are aligned to their size; stores likewise.
template <class T = int>
STRATA_DEVICE T load4(const void* p) {
  static_assert(sizeof(T) == 4 && alignof(T) == 4);
  return load_aligned<T>(p);
}
template <class T = Int2>
STRATA_DEVICE T load8(const void* p) {
  static_assert(sizeof(T) == 8 && alignof(T) == 8);
  return load_aligned<T>(p);
}
template <class T = Int4>
STRATA_DEVICE T load16(const void* p) {
  static_assert(sizeof(T) == 16 && alignof(T) == 16);
  return load_aligned<T>(p);
}
template <class T>
STRATA_DEVICE void store4(void* p, T value) {
  static_assert(sizeof(T) == 4 && alignof(T) == 4);
  store_aligned<T>(p, value);
}
template <class T>
STRATA_DEVICE void store8(void* p, T value) {
  static_assert(sizeof(T) == 8 && alignof(T) == 8);
  store_aligned<T>(p, value);
}
template <class T>
STRATA_DEVICE void store16(void* p, T value) {
  static_assert(sizeof(T) == 16 && alignof(T) == 16);
  store_aligned<T>(p, value);
}

}  // namespace strata::STRATA_SIMT
