#include "backends/simt/vendor_gemm.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <mutex>

#include "backends/hip/hipblaslt.h"
#include "backends/hip/rocblas.h"
#include "backends/simt/simt_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/vendor_libraries.h"

// The HIP twin of vendor_gemm.h: hipBLASLt, and where that is not there or knows no way, rocBLAS.
// Their matrices are in column order, so that each is the transposed one here: out^T (n, rows) =
// w (n, k) * x^T (k, rows).
namespace strata::hip {
namespace {

constexpr std::size_t kWorkspaceBytes = 32 << 20;  // rocBLAS's; hipBLASLt is asked for ways without
constexpr std::int64_t kAlignment = 16;            // of hipBLASLt's matrices and their rows
constexpr int kMostWays = 8;

// A way's last word says whose it is; hipBLASLt's algorithm lies in the first ones.
constexpr std::uint64_t kOfHipBlasLt = 1;
constexpr std::uint64_t kOfRocBlas = 2;

VendorWay way_of(const hipblaslt::Algorithm& algorithm) {
  VendorWay way;
  static_assert(sizeof algorithm < sizeof way.words);
  std::memcpy(way.words.data(), &algorithm, sizeof algorithm);
  way.words.back() = kOfHipBlasLt;
  return way;
}

hipblaslt::Algorithm algorithm_of(const VendorWay& way) {
  hipblaslt::Algorithm algorithm{};
  std::memcpy(&algorithm, way.words.data(), sizeof algorithm);
  return algorithm;
}

hipblaslt::Product in_elements(const VendorProduct& p) {
  return {p.rows,
          p.n,
          p.k,
          p.x,
          p.x_stride / 2,
          p.w,
          p.w_stride / 2,
          p.add,
          p.add_stride / 4,
          p.out,
          p.out_stride / 4};
}

bool aligned(const std::byte* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % kAlignment == 0 && stride % kAlignment == 0;
}

class RocBlas {
 public:
  explicit RocBlas(const SharedLibrary& file)
      : create_(file.function<rocblas::Create>("rocblas_create_handle")),
        set_stream_(file.function<rocblas::SetStream>("rocblas_set_stream")),
        set_workspace_(file.function<rocblas::SetWorkspace>("rocblas_set_workspace")),
        gemm_(file.function<rocblas::GemmEx>("rocblas_gemm_ex")),
        status_text_(file.function<rocblas::StatusText>("rocblas_status_to_string")) {}

  bool open() {
    return create_ != nullptr && set_stream_ != nullptr && set_workspace_ != nullptr &&
           gemm_ != nullptr && status_text_ != nullptr && create_(&handle_) == rocblas::kDone;
  }

  rocblas::Status multiply(hipStream_t stream, const VendorProduct& p, std::byte* workspace);
  const char* text(rocblas::Status status) const { return status_text_(status); }

 private:
  rocblas::Create* create_;
  rocblas::SetStream* set_stream_;
  rocblas::SetWorkspace* set_workspace_;
  rocblas::GemmEx* gemm_;
  rocblas::StatusText* status_text_;
  rocblas::Handle handle_ = nullptr;
  std::mutex mutex_;  // the handle has one stream and one workspace at a time
};

rocblas::Status RocBlas::multiply(hipStream_t stream, const VendorProduct& p,
                                  std::byte* workspace) {
  const float one = 1;
  const float added = p.add != nullptr ? 1 : 0;
  const auto step = [](std::int64_t stride, int bytes) { return static_cast<int>(stride / bytes); };
  const std::byte* const add = p.add != nullptr ? p.add : p.out;
  const int add_step = step(p.add != nullptr ? p.add_stride : p.out_stride, 4);
  const std::lock_guard lock(mutex_);
  rocblas::Status status = set_stream_(handle_, stream);
  if (status == rocblas::kDone) status = set_workspace_(handle_, workspace, kWorkspaceBytes);
  if (status != rocblas::kDone) return status;
  return gemm_(handle_, rocblas::kTransposed, rocblas::kAsItIs, static_cast<int>(p.n),
               static_cast<int>(p.rows), static_cast<int>(p.k), &one, p.w, rocblas::kBf16,
               step(p.w_stride, 2), p.x, rocblas::kBf16, step(p.x_stride, 2), &added, add,
               rocblas::kF32, add_step, p.out, rocblas::kF32, step(p.out_stride, 4), rocblas::kF32,
               rocblas::kStandard, 0, 0);
}

bool rocblas_takes(const VendorProduct& p) {
  const auto fits = [](std::int64_t stride) { return stride % 4 == 0 && stride <= 0x7fffffff; };
  return fits(p.x_stride) && fits(p.w_stride) && fits(p.out_stride) && fits(p.add_stride);
}

// GPUs before these have no kernels in hipBLASLt, which complains of it on standard error.
[[maybe_unused]] bool has_hipblaslt_kernels(int device) {
  Properties found;
  return api::properties(device, &found) == api::kSuccess && !found.arch.starts_with("gfx10") &&
         !found.arch.starts_with("gfx906") && !found.arch.starts_with("gfx908");
}

// The library of a file on the device that is current, or null.
template <class Library>
std::unique_ptr<Library> opened(const SharedLibrary& file) {
  auto library = std::make_unique<Library>(file);
  return file.loaded() && library->open() ? std::move(library) : nullptr;
}

}  // namespace

struct VendorLibrary {
  std::unique_ptr<hipblaslt::Library> hipblaslt;
  std::unique_ptr<RocBlas> rocblas;
};

// For AMD GPUs only: on NVIDIA's this backend is there to try the code, and CUDA's computes.
VendorLibrary* vendor_library([[maybe_unused]] int device) {
#if defined(__HIP_PLATFORM_NVIDIA__)
  return nullptr;
#else
  static const SharedLibrary hipblaslt_file = open_first(kHipblasltNames);
  static const SharedLibrary rocblas_file = open_first(kRocblasNames);
  static std::mutex mutex;
  static std::map<int, VendorLibrary> libraries;
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = libraries.try_emplace(device);
  VendorLibrary& library = place->second;
  if (is_new) {
    static_cast<void>(api::use_device(device));
    if (has_hipblaslt_kernels(device))
      library.hipblaslt = opened<hipblaslt::Library>(hipblaslt_file);
    library.rocblas = opened<RocBlas>(rocblas_file);
  }
  return library.hipblaslt != nullptr || library.rocblas != nullptr ? &library : nullptr;
#endif
}

// rocBLAS looks at the sizes for the kernel that it takes; a way of hipBLASLt is one kernel.
bool vendor_keeps_bits(const VendorWay& way) { return way.words.back() == kOfHipBlasLt; }

std::size_t vendor_workspace_bytes() { return kWorkspaceBytes; }

std::vector<VendorWay> vendor_ways(VendorLibrary& library, const VendorProduct& like) {
  std::vector<VendorWay> ways;
  if (library.hipblaslt != nullptr)
    for (const auto& algorithm : library.hipblaslt->algorithms(in_elements(like), kMostWays))
      ways.push_back(way_of(algorithm));
  if (library.rocblas != nullptr) ways.emplace_back().words.back() = kOfRocBlas;
  return ways;
}

bool vendor_takes(VendorLibrary& library, const VendorWay& way, const VendorProduct& p) {
  if (way.words.back() == kOfRocBlas) return rocblas_takes(p);
  return aligned(p.x, p.x_stride) && aligned(p.w, p.w_stride) && aligned(p.out, p.out_stride) &&
         (p.add == nullptr || aligned(p.add, p.add_stride)) &&
         library.hipblaslt->takes(algorithm_of(way), in_elements(p));
}

void vendor_multiply(Stream& stream, VendorLibrary& library, const VendorWay& way,
                     const VendorProduct& p, std::byte* workspace) {
  const SimtStream& on = simt_stream(stream);
  on.device().activate();
  std::string refused;
  if (way.words.back() == kOfRocBlas) {
    const rocblas::Status status = library.rocblas->multiply(on.handle(), p, workspace);
    if (status != rocblas::kDone)
      refused =
          fmt::format("rocBLAS, {} x {} x {}: {}", p.rows, p.n, p.k, library.rocblas->text(status));
  } else {
    const hipblaslt::Status status =
        library.hipblaslt->multiply(on.handle(), algorithm_of(way), in_elements(p));
    if (status != hipblaslt::kDone)
      refused = fmt::format("hipBLASLt, {} x {} x {}: status {}", p.rows, p.n, p.k, status);
  }
  if (!refused.empty())
    throw Error(ErrorCode::runtime, to_string(on.device().info().id), refused,
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
