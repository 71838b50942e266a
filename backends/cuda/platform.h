#pragma once

// The CUDA twin of platform.h: every name that the kernels of backends/simt use. Its siblings are
// backends/hip/platform.h and tests/simt_host/platform.h.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#define STRATA_SIMT cuda
#define STRATA_KERNEL __global__
#define STRATA_BOUNDS(threads) __launch_bounds__(threads)
// Registers as for `blocks` blocks on a multiprocessor: more than the compiler takes on its own.
#define STRATA_BOUNDS_BLOCKS(threads, blocks) __launch_bounds__(threads, blocks)
#define STRATA_DEVICE __device__ __forceinline__
#define STRATA_BOTH __host__ __device__ __forceinline__
#define STRATA_UNROLL _Pragma("unroll")
#define STRATA_NO_UNROLL _Pragma("unroll 1")

#include "backends/simt/launch.h"

namespace strata::cuda {

/// Most shared memory that a block of any GPU of this platform can have (Hopper and later).
inline constexpr unsigned kMostSharedBytes = 227 << 10;
inline constexpr int kMaxLanes = 64;  ///< of any device: for arrays
inline constexpr unsigned kAllLanes = 0xffffffffu;

STRATA_DEVICE int thread_x() { return static_cast<int>(threadIdx.x); }
STRATA_DEVICE int block_x() { return static_cast<int>(blockIdx.x); }
STRATA_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
STRATA_DEVICE int block_z() { return static_cast<int>(blockIdx.z); }
STRATA_DEVICE int threads_x() { return static_cast<int>(blockDim.x); }
STRATA_DEVICE int blocks_x() { return static_cast<int>(gridDim.x); }
STRATA_DEVICE int blocks_y() { return static_cast<int>(gridDim.y); }
STRATA_BOTH constexpr int lane_count() { return 32; }
STRATA_DEVICE int lane() { return thread_x() % lane_count(); }
STRATA_DEVICE int warp() { return thread_x() / lane_count(); }

STRATA_DEVICE void sync_block() { __syncthreads(); }
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

/// The launch's dynamic shared memory, 16-byte aligned, not cleared.
template <class T>
STRATA_DEVICE T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char strata_dynamic_shared[];
  return reinterpret_cast<T*>(strata_dynamic_shared);
}

/// In a kernel that was started by launch_overlapped(), before it touches anything that another
/// kernel writes or reads: waits until all before it have ended. Each thread calls it.
STRATA_DEVICE void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// Lets the next kernel begin as far as its wait_for_previous(). A hint, for one thread or all.
STRATA_DEVICE void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
/// Asks for what is read behind wait_for_previous() and does not depend on the previous kernel: its
/// line comes into the second-level cache. That cache is where all of the device's memory is
/// coherent, and nothing is read, so that it is no error if the line is written meanwhile.
STRATA_DEVICE void prefetch_early(const void* p) {
#if __CUDA_ARCH__ >= 900
  asm volatile("prefetch.global.L2 [%0];" : : "l"(p));
#endif
}

/// Adds one to a counter in device memory and returns what it was: of all blocks' threads one after
/// the other.
STRATA_DEVICE unsigned count_up(unsigned* counter) { return atomicAdd(counter, 1U); }
/// What this thread has written before is seen by threads of other blocks that see what it writes
/// afterwards, and the other way round.
STRATA_DEVICE void sync_device() { __threadfence(); }

STRATA_DEVICE int dot4(int a, int b, int c) { return __dp4a(a, b, c); }
STRATA_DEVICE float exp_of(float x) { return expf(x); }
STRATA_DEVICE float log_of(float x) { return logf(x); }
STRATA_DEVICE float sin_of(float x) { return sinf(x); }
STRATA_DEVICE float cos_of(float x) { return cosf(x); }
STRATA_DEVICE float sqrt_of(float x) { return __fsqrt_rn(x); }
STRATA_DEVICE float rsqrt_of(float x) { return rsqrtf(x); }
STRATA_DEVICE float fma_of(float a, float b, float c) { return __fmaf_rn(a, b, c); }
STRATA_DEVICE float round_of(float x) { return rintf(x); }
STRATA_DEVICE float abs_of(float x) { return fabsf(x); }
STRATA_DEVICE std::uint32_t bits_of(float x) { return __float_as_uint(x); }
STRATA_DEVICE float float_of(std::uint32_t bits) { return __uint_as_float(bits); }
STRATA_DEVICE int bit_count(std::uint64_t bits) { return __popcll(bits); }
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
STRATA_DEVICE float bf16_to_float(std::uint16_t half) {
  return float_of(static_cast<std::uint32_t>(half) << 16);
}
STRATA_DEVICE std::uint16_t float_to_bf16(float value) {
  std::uint16_t half;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

/// One access of sizeof(T) bytes at an address aligned to as many.
template <class T>
STRATA_DEVICE T load_aligned(const void* p) {
  return *static_cast<const T*>(p);
}
template <class T>
STRATA_DEVICE void store_aligned(void* p, T value) {
  *static_cast<T*>(p) = value;
}

}  // namespace strata::cuda

#include "backends/simt/vectors.h"

namespace strata::cuda {

/// 16 aligned bytes of global memory that are read once: they leave the first-level cache alone.
template <class T = Int4>
STRATA_DEVICE T load16_stream(const void* p) {
  static_assert(sizeof(T) == 16);
  Int4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.s32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  T result;
  __builtin_memcpy(&result, &v, sizeof(T));
  return result;
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

/// The same for a kernel that may begin before the previous one has ended, because it calls
/// wait_for_previous().
template <class... P>
void launch_overlapped(const LaunchSite& site, void (*kernel)(P...), Grid blocks, unsigned threads,
                       std::size_t shared_bytes, std::type_identity_t<P>... args) {
  void* arguments[] = {static_cast<void*>(&args)..., nullptr};
  launch_kernel(site, reinterpret_cast<const void*>(kernel),
                {blocks, threads, shared_bytes, Start::overlapped}, arguments);
}

}  // namespace strata::cuda
