#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime_api.h"

// The vendor's own library of matrix products, opened at run time. Each twin defines these
// functions in its vendor_gemm.cpp: cuBLASLt, hipBLASLt with rocBLAS behind it, and on simt-host
// one that is played.
namespace strata::STRATA_SIMT {

/// out (rows, n) f32 = x (rows, k) bf16 * w (n, k)^T bf16 + add (rows, n) f32, sums in f32. Strides
/// are bytes from row to row. `add` may be null, or `out` itself.
struct VendorProduct {
  std::int64_t rows = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  const std::byte* x = nullptr;
  std::int64_t x_stride = 0;
  const std::byte* w = nullptr;
  std::int64_t w_stride = 0;
  const std::byte* add = nullptr;
  std::int64_t add_stride = 0;
  std::byte* out = nullptr;
  std::int64_t out_stride = 0;
};

/// One of the library's ways to multiply, in the library's own words.
struct VendorWay {
  std::array<std::uint64_t, 8> words{};
};

/// The library on one device; the twin's own.
struct VendorLibrary;

/// Opened at the first call, for as long as the process lives; null when the library is not there
/// or refuses the device. Thread-safe.
VendorLibrary* vendor_library(int device);

/// Whether a way of vendor_ways() gives a row of w the same sums whatever rows it is multiplied
/// together with, as far as its library says: then weights that come in row blocks give the bits of
/// those that are resident.
bool vendor_keeps_bits(const VendorWay& way);

/// Scratch memory that a product takes.
std::size_t vendor_workspace_bytes();

/// Ways for products like this one (its addresses are not looked at), the most promising first.
std::vector<VendorWay> vendor_ways(VendorLibrary& library, const VendorProduct& like);

/// Whether this way takes this product: sizes, strides, addresses. Asks no device.
bool vendor_takes(VendorLibrary& library, const VendorWay& way, const VendorProduct& product);

/// Enqueues a product that vendor_takes(). Allocates nothing and does not wait; can be recorded.
/// Throws Error{runtime} with the library's word when it is refused all the same.
void vendor_multiply(Stream& stream, VendorLibrary& library, const VendorWay& way,
                     const VendorProduct& product, std::byte* workspace);

/// Rows of w and of x that ways and our own kernel are timed with.
struct VendorTrial {
  std::int64_t n;
  std::int64_t rows;
};
VendorTrial vendor_trial();

/// Seconds that the device takes for what work(context) enqueues on the stream. Waits for it.
double vendor_seconds(Stream& stream, void (*work)(void*), void* context);

}  // namespace strata::STRATA_SIMT
