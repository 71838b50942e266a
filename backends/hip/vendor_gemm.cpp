#include "backends/simt/vendor_gemm.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "backends/hip/rocblas.h"
#include "backends/simt/simt_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/vendor_libraries.h"

// The HIP twin of vendor_gemm.h: rocBLAS. Its matrices are in column order, so that each is the
// transposed one here: out^T (n, rows) = w (n, k) * x^T (k, rows).
namespace strata::hip {
namespace {

constexpr std::size_t kWorkspaceBytes = 32 << 20;

}  // namespace

struct VendorLibrary {
  explicit VendorLibrary(const SharedLibrary& file)
      : create(file.function<rocblas::Create>("rocblas_create_handle")),
        set_stream(file.function<rocblas::SetStream>("rocblas_set_stream")),
        set_workspace(file.function<rocblas::SetWorkspace>("rocblas_set_workspace")),
        gemm(file.function<rocblas::GemmEx>("rocblas_gemm_ex")),
        status_text(file.function<rocblas::StatusText>("rocblas_status_to_string")) {}

  bool complete() const {
    return create != nullptr && set_stream != nullptr && set_workspace != nullptr &&
           gemm != nullptr && status_text != nullptr;
  }

  rocblas::Create* create;
  rocblas::SetStream* set_stream;
  rocblas::SetWorkspace* set_workspace;
  rocblas::GemmEx* gemm;
  rocblas::StatusText* status_text;
  rocblas::Handle handle = nullptr;
  std::mutex mutex;  // the handle has one stream and one workspace at a time
};

// For AMD GPUs only: on NVIDIA's this backend is there to try the code, and CUDA's computes.
VendorLibrary* vendor_library([[maybe_unused]] int device) {
#if defined(__HIP_PLATFORM_NVIDIA__)
  return nullptr;
#else
  using Owned = std::unique_ptr<VendorLibrary>;
  static const SharedLibrary file = open_first(kRocblasNames);
  static std::mutex mutex;
  static std::map<int, Owned> opened;
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = opened.try_emplace(device);
  if (is_new && file.loaded()) {
    auto library = std::make_unique<VendorLibrary>(file);
    static_cast<void>(api::use_device(device));
    if (library->complete() && library->create(&library->handle) == rocblas::kDone)
      place->second = std::move(library);
  }
  return place->second.get();
#endif
}

// It looks at the sizes for the kernel that it takes.
bool vendor_keeps_bits() { return false; }

std::size_t vendor_workspace_bytes() { return kWorkspaceBytes; }

std::vector<VendorWay> vendor_ways(VendorLibrary&, const VendorProduct&) { return {VendorWay{}}; }

bool vendor_takes(VendorLibrary&, const VendorWay&, const VendorProduct& p) {
  const auto fits = [](std::int64_t stride) { return stride % 4 == 0 && stride <= 0x7fffffff; };
  return fits(p.x_stride) && fits(p.w_stride) && fits(p.out_stride) && fits(p.add_stride);
}

void vendor_multiply(Stream& stream, VendorLibrary& library, const VendorWay&,
                     const VendorProduct& p, std::byte* workspace) {
  const SimtStream& on = simt_stream(stream);
  on.device().activate();
  const float one = 1;
  const float added = p.add != nullptr ? 1 : 0;
  const auto step = [](std::int64_t stride, int bytes) { return static_cast<int>(stride / bytes); };
  const std::byte* const add = p.add != nullptr ? p.add : p.out;
  const int add_step = step(p.add != nullptr ? p.add_stride : p.out_stride, 4);
  const std::lock_guard lock(library.mutex);
  rocblas::Status status = library.set_stream(library.handle, on.handle());
  if (status == rocblas::kDone)
    status = library.set_workspace(library.handle, workspace, kWorkspaceBytes);
  if (status == rocblas::kDone)
    status =
        library.gemm(library.handle, rocblas::kTransposed, rocblas::kAsItIs, static_cast<int>(p.n),
                     static_cast<int>(p.rows), static_cast<int>(p.k), &one, p.w, rocblas::kBf16,
                     step(p.w_stride, 2), p.x, rocblas::kBf16, step(p.x_stride, 2), &added, add,
                     rocblas::kF32, add_step, p.out, rocblas::kF32, step(p.out_stride, 4),
                     rocblas::kF32, rocblas::kStandard, 0, 0);
  if (status != rocblas::kDone)
    throw Error(
        ErrorCode::runtime, to_string(on.device().info().id),
        fmt::format("rocBLAS, {} x {} x {}: {}", p.rows, p.n, p.k, library.status_text(status)),
        "STRATA_MATMUL=own does without it");
}

VendorTrial vendor_trial() { return {4096, 512}; }

double vendor_seconds(Stream& stream, void (*work)(void*), void* context) {
  const SimtStream& on = simt_stream(stream);
  on.device().activate();
  hipEvent_t events[2] = {};
  for (hipEvent_t& event : events) on.device().check(hipEventCreate(&event), "creating a timer");
  on.device().check(hipEventRecord(events[0], on.handle()), "starting a timer");
  work(context);
  on.device().check(hipEventRecord(events[1], on.handle()), "stopping a timer");
  stream.synchronize();
  float milliseconds = 0;
  on.device().check(hipEventElapsedTime(&milliseconds, events[0], events[1]), "reading a timer");
  for (hipEvent_t event : events) static_cast<void>(hipEventDestroy(event));
  return milliseconds * 1e-3;
}

}  // namespace strata::hip
