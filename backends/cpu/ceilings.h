#pragma once

#include <cstddef>
#include <span>

#include "backends/cpu/cpu_device.h"

namespace strata::cpu {

/// One short run of all the device's threads each; for programs that measure a ceiling and a kernel
/// in turn. Nothing else runs on the device meanwhile.

/// Bytes per second of reading `data` once, each thread its own share, in one of kReadShapes
/// orders.
double sample_read(CpuDevice& device, std::span<const std::byte> data, int shape);

/// A kernel of kernels/ceilings.cpp: &Kernels::peak_int8 and the like.
using PeakKernel = void (*Kernels::*)(std::int64_t rounds, double* operations);
/// Operations per second of one run of some milliseconds; 0 when the variant has no such kernel.
double sample_peak(CpuDevice& device, PeakKernel kernel);

/// Memory that no cache holds, each thread's share touched by that thread: 512 MiB, or 16 times the
/// last-level caches, or what a small machine can spare.
Buffer allocate_read_buffer(CpuDevice& device);

}  // namespace strata::cpu
