#pragma once

// The HIP twin of platform.h: every name that the kernels of backends/simt use. Its siblings are
// backends/cuda/platform.h and tests/simt_host/platform.h. Compiled for AMD by clang and for NVIDIA
// by nvcc, which is why this file, unlike the kernels, has conditions.

#include <hip/hip_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#define STRATA_SIMT hip
#define STRATA_KERNEL __global__
#define STRATA_BOUNDS(threads) __launch_bounds__(threads)
#define STRATA_BOUNDS_BLOCKS(threads, blocks) __launch_bounds__(threads)
#define STRATA_DEVICE __device__ inline __attribute__((always_inline))
#define STRATA_BOTH __host__ __device__ inline __attribute__((always_inline))
#define STRATA_UNROLL _Pragma("unroll")
#define STRATA_NO_UNROLL _Pragma("unroll 1")

#include "backends/simt/launch.h"

namespace strata::hip {

/// Most shared memory that a block of any GPU of this platform can have (CDNA and RDNA).
inline constexpr unsigned kMostSharedBytes = 64 << 10;
inline constexpr int kMaxLanes = 64;  ///< of any device: for arrays

STRATA_DEVICE int thread_x() { return static_cast<int>(threadIdx.x); }
STRATA_DEVICE int block_x() { return static_cast<int>(blockIdx.x); }
STRATA_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
STRATA_DEVICE int block_z() { return static_cast<int>(blockIdx.z); }
STRATA_DEVICE int threads_x() { return static_cast<int>(blockDim.x); }
STRATA_DEVICE int blocks_x() { return static_cast<int>(gridDim.x); }
STRATA_DEVICE int blocks_y() { return static_cast<int>(gridDim.y); }

// The lane count is the target's: each architecture of a binary gets its own.
#if defined(__HIP_PLATFORM_NVIDIA__) || defined(__HIP_PLATFORM_NVCC__)
STRATA_DEVICE constexpr int lane_count() { return 32; }
#elif defined(__AMDGCN_WAVEFRONT_SIZE)
STRATA_DEVICE constexpr int lane_count() { return __AMDGCN_WAVEFRONT_SIZE; }
#else
STRATA_DEVICE constexpr int lane_count() { return 64; }  // the host's pass: never run
#endif
STRATA_DEVICE int lane() { return thread_x() % lane_count(); }
STRATA_DEVICE int warp() { return thread_x() / lane_count(); }

STRATA_DEVICE void sync_block() { __syncthreads(); }

#if defined(__HIP_PLATFORM_NVIDIA__) || defined(__HIP_PLATFORM_NVCC__)

inline constexpr unsigned kAllLanes = 0xffffffffu;
STRATA_DEVICE void sync_warp() { __syncwarp(); }
template <class T>
STRATA_DEVICE T shuffle(T v, int from) {
  return __shfl_sync(kAllLanes, v, from);
}
template <class T>
STRATA_DEVICE T shuffle_xor(T v, int mask) {
  return __shfl_xor_sync(kAllLanes, v, mask);
}
template <class T>
STRATA_DEVICE T shuffle_down(T v, int delta) {
  return __shfl_down_sync(kAllLanes, v, static_cast<unsigned>(delta));
}
template <class T>
STRATA_DEVICE T shuffle_up(T v, int delta) {
  return __shfl_up_sync(kAllLanes, v, static_cast<unsigned>(delta));
}
STRATA_DEVICE std::uint64_t ballot(bool vote) { return __ballot_sync(kAllLanes, vote); }
STRATA_DEVICE int dot4(int a, int b, int c) { return __dp4a(a, b, c); }

#else

// Lanes run in lock step; only the order of memory accesses must be told to the compiler.
STRATA_DEVICE void sync_warp() {
  __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "wavefront");
  __builtin_amdgcn_wave_barrier();
}
template <class T>
STRATA_DEVICE T shuffle(T v, int from) {
  return __shfl(v, from);
}
template <class T>
STRATA_DEVICE T shuffle_xor(T v, int mask) {
  return __shfl_xor(v, mask);
}
template <class T>
STRATA_DEVICE T shuffle_down(T v, int delta) {
  return __shfl_down(v, static_cast<unsigned>(delta));
}
template <class T>
STRATA_DEVICE T shuffle_up(T v, int delta) {
  return __shfl_up(v, static_cast<unsigned>(delta));
}
STRATA_DEVICE std::uint64_t ballot(bool vote) { return __ballot(vote); }

STRATA_DEVICE int dot4(int a, int b, int c) {
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx940__) ||   \
    defined(__gfx941__) || defined(__gfx942__) || defined(__gfx1011__) || defined(__gfx1012__) || \
    defined(__gfx1030__) || defined(__gfx1031__) || defined(__gfx1032__) ||                       \
    defined(__gfx1034__) || defined(__gfx1035__) || defined(__gfx1036__)
  return __builtin_amdgcn_sdot4(a, b, c, false);
#elif defined(__GFX11__) || defined(__GFX12__)
  return __builtin_amdgcn_sudot4(true, a, true, b, c, false);
#else
  for (int i = 0; i < 32; i += 8)
    c += static_cast<std::int8_t>(a >> i) * static_cast<std::int8_t>(b >> i);
  return c;
#endif
}

#endif

/// The launch's dynamic shared memory, 16-byte aligned, not cleared.
template <class T>
STRATA_DEVICE T* dynamic_shared() {
  extern __shared__ __attribute__((aligned(16))) unsigned char strata_dynamic_shared[];
  return reinterpret_cast<T*>(strata_dynamic_shared);
}

/// A kernel here begins when the one before it has ended.
STRATA_DEVICE void wait_for_previous() {}
STRATA_DEVICE void let_next_start() {}
/// So there is nothing to do early.
STRATA_DEVICE void prefetch_early(const void*) {}

/// Adds one to a counter in device memory and returns what it was: of all blocks' threads one after
/// the other.
STRATA_DEVICE unsigned count_up(unsigned* counter) { return atomicAdd(counter, 1U); }
/// What this thread has written before is seen by threads of other blocks that see what it writes
/// afterwards, and the other way round.
STRATA_DEVICE void sync_device() { __threadfence(); }

STRATA_DEVICE float exp_of(float x) { return expf(x); }
STRATA_DEVICE float log_of(float x) { return logf(x); }
STRATA_DEVICE float sin_of(float x) { return sinf(x); }
STRATA_DEVICE float cos_of(float x) { return cosf(x); }
STRATA_DEVICE float sqrt_of(float x) { return sqrtf(x); }
STRATA_DEVICE float rsqrt_of(float x) { return rsqrtf(x); }
STRATA_DEVICE float fma_of(float a, float b, float c) { return fmaf(a, b, c); }
STRATA_DEVICE float round_of(float x) { return rintf(x); }
STRATA_DEVICE float abs_of(float x) { return fabsf(x); }
STRATA_DEVICE std::uint32_t bits_of(float x) { return __float_as_uint(x); }
STRATA_DEVICE float float_of(std::uint32_t bits) { return __uint_as_float(bits); }
STRATA_DEVICE int bit_count(std::uint64_t bits) { return static_cast<int>(__popcll(bits)); }

#if defined(__HIP_PLATFORM_NVIDIA__) || defined(__HIP_PLATFORM_NVCC__)
STRATA_DEVICE float half_to_float(std::uint16_t half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}
STRATA_DEVICE std::uint16_t float_to_half(float value) {
  std::uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}
#else
STRATA_DEVICE float half_to_float(std::uint16_t half) {
  return static_cast<float>(__builtin_bit_cast(_Float16, half));
}
STRATA_DEVICE std::uint16_t float_to_half(float value) {
  return __builtin_bit_cast(std::uint16_t, static_cast<_Float16>(value));
}
#endif
STRATA_DEVICE float bf16_to_float(std::uint16_t half) {
  return float_of(static_cast<std::uint32_t>(half) << 16);
}
/// To nearest even, NaN stays NaN.
STRATA_DEVICE std::uint16_t float_to_bf16(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// One access of sizeof(T) bytes at an address aligned to as many.
template <class T>
STRATA_DEVICE T load_aligned(const void* p) {
  T value;
  __builtin_memcpy(&value, __builtin_assume_aligned(p, sizeof(T)), sizeof(T));
  return value;
}
template <class T>
STRATA_DEVICE void store_aligned(void* p, T value) {
  __builtin_memcpy(__builtin_assume_aligned(p, sizeof(T)), &value, sizeof(T));
}

}  // namespace strata::hip

#include "backends/simt/vectors.h"

namespace strata::hip {

/// 16 aligned bytes of global memory that are read once: they leave the first-level cache alone.
template <class T = Int4>
STRATA_DEVICE T load16_stream(const void* p) {
  static_assert(sizeof(T) == 16 && alignof(T) == 16);
#if defined(__HIP_PLATFORM_NVIDIA__) || defined(__HIP_PLATFORM_NVCC__)
  const int4 raw = __ldcs(static_cast<const int4*>(p));
#else
  using Raw = int __attribute__((ext_vector_type(4)));
  const Raw raw = __builtin_nontemporal_load(static_cast<const Raw*>(p));
#endif
  T value;
  __builtin_memcpy(&value, &raw, sizeof(T));
  return value;
}

/// Enqueues kernel(args...) with `shared_bytes` of dynamic shared memory. Throws Error naming the
/// caller's file when it is refused.
template <class... P>
void launch(const LaunchSite& site, void (*kernel)(P...), Grid blocks, unsigned threads,
            std::size_t shared_bytes, std::type_identity_t<P>... args) {
  void* arguments[] = {static_cast<void*>(&args)..., nullptr};
  launch_kernel(site, reinterpret_cast<const void*>(kernel), {blocks, threads, shared_bytes},
                arguments);
}

/// The same for a kernel that calls wait_for_previous(), which means nothing here.
template <class... P>
void launch_overlapped(const LaunchSite& site, void (*kernel)(P...), Grid blocks, unsigned threads,
                       std::size_t shared_bytes, std::type_identity_t<P>... args) {
  launch(site, kernel, blocks, threads, shared_bytes, args...);
}

}  // namespace strata::hip
