#pragma once

// The twin of platform.h that runs on the CPU, for tests: backends/cuda/platform.h and
// backends/hip/platform.h are what it stands in for.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define STRATA_SIMT simt_host
#define STRATA_KERNEL
#define STRATA_BOUNDS(threads)
#define STRATA_BOUNDS_BLOCKS(threads, blocks)
#define STRATA_DEVICE inline
#define STRATA_BOTH inline
#define STRATA_UNROLL
#define STRATA_NO_UNROLL

#include "backends/simt/launch.h"
#include "runtime/core/half.h"
#include "tests/simt_host/block.h"

namespace strata::simt_host {

/// Most shared memory that a block of any GPU of this platform can have (a Machine's standard).
inline constexpr unsigned kMostSharedBytes = 64 << 10;
inline constexpr int kMaxLanes = 64;

inline int thread_x() { return running->thread; }
inline int block_x() { return running->block[0]; }
inline int block_y() { return running->block[1]; }
inline int block_z() { return running->block[2]; }
inline int threads_x() { return running->threads; }
inline int blocks_x() { return running->blocks[0]; }
inline int blocks_y() { return running->blocks[1]; }
inline int lane_count() { return running->lanes; }
inline int lane() { return thread_x() % lane_count(); }
inline int warp() { return thread_x() / lane_count(); }

// Each rendezvous knows where it stands, so that threads that meet at different ones are found.
inline void sync_block(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  meet_block(file, line);
}
inline void sync_warp(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  meet_warp(nullptr, 0, file, line);
}
template <class T>
T exchange(T v, int from, const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  if (from < 0 || from >= lane_count()) fail_thread("reads lane " + std::to_string(from));
  T result;
  std::memcpy(&result, meet_warp(&v, sizeof(T), file, line) + from * 16, sizeof(T));
  return result;
}
template <class T>
T shuffle(T v, int from, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(v, from, file, line);
}
template <class T>
T shuffle_xor(T v, int mask, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(v, lane() ^ mask, file, line);
}
template <class T>
T shuffle_down(T v, int delta, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(v, lane() + delta < lane_count() ? lane() + delta : lane(), file, line);
}
template <class T>
T shuffle_up(T v, int delta, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return exchange(v, lane() - delta >= 0 ? lane() - delta : lane(), file, line);
}
inline std::uint64_t ballot(bool vote, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  const std::byte given{vote};
  const std::byte* votes = meet_warp(&given, 1, file, line);
  std::uint64_t bits = 0;
  for (int i = 0; i < lane_count(); ++i) bits |= static_cast<std::uint64_t>(votes[i * 16]) << i;
  return bits;
}

/// The launch's dynamic shared memory: 16-byte aligned and no more, garbage when a block begins.
template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(running->shared);
}

inline void wait_for_previous() { await_previous(); }
inline void let_next_start() {}
/// Reads the byte, so that AddressSanitizer knows whether it is there.
inline void prefetch_early(const void* p) {
  if (running->waited) fail_thread("prefetches behind wait_for_previous(), where it gains nothing");
  *running->prefetches += 1;
  static_cast<void>(*static_cast<const volatile unsigned char*>(p));
}

// Blocks run one after the other, and each in one piece.
inline unsigned count_up(unsigned* counter) { return (*counter)++; }
inline void sync_device() {}

inline int dot4(int a, int b, int c) {
  for (int i = 0; i < 32; i += 8)
    c += static_cast<std::int8_t>(a >> i) * static_cast<std::int8_t>(b >> i);
  return c;
}
inline float exp_of(float x) { return std::exp(x); }
inline float log_of(float x) { return std::log(x); }
inline float sin_of(float x) { return std::sin(x); }
inline float cos_of(float x) { return std::cos(x); }
inline float sqrt_of(float x) { return std::sqrt(x); }
inline float rsqrt_of(float x) { return 1.0F / std::sqrt(x); }
inline float fma_of(float a, float b, float c) { return std::fma(a, b, c); }
inline float round_of(float x) { return std::nearbyint(x); }
inline float abs_of(float x) { return std::fabs(x); }
inline std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
inline float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline int bit_count(std::uint64_t bits) { return std::popcount(bits); }
inline float half_to_float(std::uint16_t half) { return f16_to_f32(half); }
inline std::uint16_t float_to_half(float value) { return f32_to_f16(value); }
inline float bf16_to_float(std::uint16_t half) { return bf16_to_f32(half); }
inline std::uint16_t float_to_bf16(float value) { return f32_to_bf16(value); }

template <class T>
void check_aligned(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % sizeof(T) != 0)
    fail_thread("accesses " + std::to_string(sizeof(T)) + " bytes that are not aligned to as many");
}
template <class T>
T load_aligned(const void* p) {
  check_aligned<T>(p);
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
template <class T>
void store_aligned(void* p, T value) {
  check_aligned<T>(p);
  std::memcpy(p, &value, sizeof(T));
}

}  // namespace strata::simt_host

#include "backends/simt/vectors.h"

namespace strata::simt_host {

template <class T = Int4>
T load16_stream(const void* p) {
  return load16<T>(p);
}

/// What launch_kernel() takes as the kernel here.
struct HostKernel {
  LaunchSite site;
  std::function<void()> body;
};

template <class... P>
void launch(const LaunchSite& site, void (*kernel)(P...), Grid blocks, unsigned threads,
            std::size_t shared_bytes, std::type_identity_t<P>... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...));
  const HostKernel host{site, [kernel, args...] { kernel(args...); }};
  launch_kernel(site, &host, {blocks, threads, shared_bytes}, nullptr);
}

/// The same, and it is an error when a thread does not call wait_for_previous().
template <class... P>
void launch_overlapped(const LaunchSite& site, void (*kernel)(P...), Grid blocks, unsigned threads,
                       std::size_t shared_bytes, std::type_identity_t<P>... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...));
  const HostKernel host{site, [kernel, args...] { kernel(args...); }};
  launch_kernel(site, &host, {blocks, threads, shared_bytes, Start::overlapped}, nullptr);
}

}  // namespace strata::simt_host
