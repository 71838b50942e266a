// The twin of vendor_gemm.h that runs on the CPU: a library that multiplies as those of the vendors
// do, bf16 by bf16 with sums in f32, in the plainest order. Machine says how fast it is.
#include "backends/simt/vendor_gemm.h"

#include <map>
#include <mutex>

#include "backends/simt/simt_stream.h"
#include "tests/simt_host/platform.h"
#include "tests/simt_host/simt_host.h"

namespace strata::simt_host {

struct VendorLibrary {
  Machine* machine = nullptr;
};

namespace {

constexpr unsigned kThreads = 64;

// Blocks (rows of x). The sums in so many pieces.
void multiply(VendorProduct p, int pieces) {
  const std::int64_t row = block_x();
  const auto* x = reinterpret_cast<const std::uint16_t*>(p.x + row * p.x_stride);
  for (std::int64_t n = thread_x(); n < p.n; n += threads_x()) {
    const auto* w = reinterpret_cast<const std::uint16_t*>(p.w + n * p.w_stride);
    float sum = 0;
    for (int piece = 0; piece < pieces; ++piece) {
      float part = 0;
      for (std::int64_t k = piece * p.k / pieces; k < (piece + 1) * p.k / pieces; ++k)
        part += bf16_to_float(x[k]) * bf16_to_float(w[k]);  // the product of two bf16 is exact
      sum += part;
    }
    if (p.add != nullptr) sum += reinterpret_cast<const float*>(p.add + row * p.add_stride)[n];
    reinterpret_cast<float*>(p.out + row * p.out_stride)[n] = sum;
  }
}

bool is_aligned(const std::byte* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % 2 == 0 && stride % 2 == 0;
}

}  // namespace

VendorLibrary* vendor_library(int device) {
  static std::mutex mutex;
  static std::map<int, VendorLibrary> libraries;
  const std::lock_guard lock(mutex);
  VendorLibrary& library = libraries[device];
  library.machine = find_machine(device);
  return library.machine->has_library ? &library : nullptr;
}

bool vendor_keeps_bits(const VendorWay&) { return true; }

std::size_t vendor_workspace_bytes() { return 64; }

std::vector<VendorWay> vendor_ways(VendorLibrary&, const VendorProduct&) {
  return {VendorWay{{1}}, VendorWay{{2}}};
}

bool vendor_takes(VendorLibrary& library, const VendorWay&, const VendorProduct& p) {
  return p.n >= library.machine->library_least_rows && is_aligned(p.x, p.x_stride) &&
         is_aligned(p.w, p.w_stride) && reinterpret_cast<std::uintptr_t>(p.out) % 4 == 0;
}

void vendor_multiply(Stream& stream, VendorLibrary& library, const VendorWay&,
                     const VendorProduct& product, std::byte*) {
  ++library.machine->library_products;
  const int pieces = product.n >= library.machine->library_splits_from ? 2 : 1;
  launch(stream, multiply, {static_cast<unsigned>(product.rows)}, kThreads, 0, product, pieces);
}

VendorTrial vendor_trial() { return {32, 16}; }

// A kernel of ours takes a second, the library what the machine says.
double vendor_seconds(Stream& stream, void (*work)(void*), void* context) {
  Machine& machine = machine_of(simt_stream(stream).device());
  const std::uint64_t launches = machine.launches;
  const std::uint64_t products = machine.library_products;
  work(context);
  const auto made = static_cast<double>(machine.library_products - products);
  return static_cast<double>(machine.launches - launches) - made + made * machine.library_seconds;
}

}  // namespace strata::simt_host
