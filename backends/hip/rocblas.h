#pragma once

#include <hip/hip_runtime_api.h>

#include <cstddef>
#include <cstdint>

// Of rocBLAS what is used here, by its own numbers and types, which have stayed the same from ROCm
// 5 on: neither its header nor the library is needed to build. tests/bare/hip_libraries.cpp
// compares them with the header where that is packaged.
namespace strata::hip::rocblas {

using Handle = void*;
using Status = int;
inline constexpr Status kDone = 0;
enum Operation : int { kAsItIs = 111, kTransposed = 112 };
enum Type : int { kF32 = 151, kBf16 = 168 };
enum Algorithm : int { kStandard = 0 };

using Create = Status(Handle*);
using SetStream = Status(Handle, hipStream_t);
using SetWorkspace = Status(Handle, void*, std::size_t);
using StatusText = const char*(Status);
/// d (m, n) = alpha * a (m, k) * b (k, n) + beta * c (m, n), all in column order, with sums of type
/// `sums`.
using GemmEx = Status(Handle, Operation, Operation, int m, int n, int k, const void* alpha,
                      const void* a, Type, int lda, const void* b, Type, int ldb, const void* beta,
                      const void* c, Type, int ldc, void* d, Type, int ldd, Type sums, Algorithm,
                      std::int32_t solution, std::uint32_t flags);

}  // namespace strata::hip::rocblas
