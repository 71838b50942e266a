#include "backends/simt/vendor_gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>

#include "backends/simt/simt_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/vendor_libraries.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#else
#define STRATA_WITHOUT_CUBLASLT
#endif

// The CUDA twin of vendor_gemm.h: cuBLASLt, of which only the header is needed to build. Its
// matrices are in column order, so that each is the transposed one here:
// out^T (n, rows) = w (n, k) * x^T (k, rows).
namespace strata::cuda {

#ifdef STRATA_WITHOUT_CUBLASLT

struct VendorLibrary {};

VendorLibrary* vendor_library(int) { return nullptr; }
bool vendor_keeps_bits(const VendorWay&) { return false; }
std::size_t vendor_workspace_bytes() { return 0; }
std::vector<VendorWay> vendor_ways(VendorLibrary&, const VendorProduct&) { return {}; }
bool vendor_takes(VendorLibrary&, const VendorWay&, const VendorProduct&) { return false; }
void vendor_multiply(Stream&, VendorLibrary&, const VendorWay&, const VendorProduct&, std::byte*) {
  throw Error(ErrorCode::runtime, "cuBLASLt", "not in this build: cublasLt.h was not found");
}

#else

namespace {

constexpr std::size_t kWorkspaceBytes = 4 << 20;
constexpr std::uint32_t kAlignment = 16;  // of matrices and of their rows
constexpr int kMostWays = 8;

// The library's functions, by their own names and types; null where it lacks one.
struct Functions {
  explicit Functions(const SharedLibrary& library)
      : create(library.function<decltype(cublasLtCreate)>("cublasLtCreate")),
        matmul(library.function<decltype(cublasLtMatmul)>("cublasLtMatmul")),
        heuristic(library.function<decltype(cublasLtMatmulAlgoGetHeuristic)>(
            "cublasLtMatmulAlgoGetHeuristic")),
        check(library.function<decltype(cublasLtMatmulAlgoCheck)>("cublasLtMatmulAlgoCheck")),
        config(library.function<decltype(cublasLtMatmulAlgoConfigGetAttribute)>(
            "cublasLtMatmulAlgoConfigGetAttribute")),
        layout(library.function<decltype(cublasLtMatrixLayoutInit_internal)>(
            "cublasLtMatrixLayoutInit_internal")),
        operation(library.function<decltype(cublasLtMatmulDescInit_internal)>(
            "cublasLtMatmulDescInit_internal")),
        set_operation(library.function<decltype(cublasLtMatmulDescSetAttribute)>(
            "cublasLtMatmulDescSetAttribute")),
        preference(library.function<decltype(cublasLtMatmulPreferenceInit_internal)>(
            "cublasLtMatmulPreferenceInit_internal")),
        set_preference(library.function<decltype(cublasLtMatmulPreferenceSetAttribute)>(
            "cublasLtMatmulPreferenceSetAttribute")),
        status_text(
            library.function<decltype(cublasLtGetStatusString)>("cublasLtGetStatusString")) {}

  bool complete() const {
    return create != nullptr && matmul != nullptr && heuristic != nullptr && check != nullptr &&
           config != nullptr && layout != nullptr && operation != nullptr &&
           set_operation != nullptr && preference != nullptr && set_preference != nullptr &&
           status_text != nullptr;
  }

  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulAlgoCheck) check;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) config;
  decltype(&cublasLtMatrixLayoutInit_internal) layout;
  decltype(&cublasLtMatmulDescInit_internal) operation;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation;
  decltype(&cublasLtMatmulPreferenceInit_internal) preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtGetStatusString) status_text;
};

}  // namespace

struct VendorLibrary {
  Functions call;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDescOpaque_t operation = {};
};

namespace {

// Sums in f32, the first matrix transposed.
bool open_on_device(VendorLibrary& library) {
  const cublasOperation_t transposed = CUBLAS_OP_T;
  return library.call.operation(&library.operation, sizeof library.operation, CUBLAS_COMPUTE_32F,
                                CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
         library.call.set_operation(&library.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                    sizeof transposed) == CUBLAS_STATUS_SUCCESS &&
         library.call.create(&library.handle) == CUBLAS_STATUS_SUCCESS;
}

// How the matrices of a product lie: w and x in bf16, what is added and out in f32.
struct Layouts {
  Layouts(const VendorLibrary& library, const VendorProduct& p) {
    const auto init = [&](cublasLtMatrixLayoutOpaque_t& layout, cudaDataType type,
                          std::int64_t rows, std::int64_t columns, std::int64_t step) {
      made =
          library.call.layout(&layout, sizeof layout, type, static_cast<std::uint64_t>(rows),
                              static_cast<std::uint64_t>(columns), step) == CUBLAS_STATUS_SUCCESS &&
          made;
    };
    const std::int64_t add_stride = p.add != nullptr ? p.add_stride : p.out_stride;
    init(w, CUDA_R_16BF, p.k, p.n, p.w_stride / 2);
    init(x, CUDA_R_16BF, p.k, p.rows, p.x_stride / 2);
    init(add, CUDA_R_32F, p.n, p.rows, add_stride / 4);
    init(out, CUDA_R_32F, p.n, p.rows, p.out_stride / 4);
  }

  cublasLtMatrixLayoutOpaque_t w = {}, x = {}, add = {}, out = {};
  bool made = true;
};

bool aligned(const std::byte* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % kAlignment == 0 && stride % kAlignment == 0;
}

cublasLtMatmulAlgo_t algorithm_of(const VendorWay& way) {
  cublasLtMatmulAlgo_t algorithm;
  static_assert(sizeof algorithm == sizeof way.words);
  std::copy(way.words.begin(), way.words.end(), algorithm.data);
  return algorithm;
}

// Whether each sum is made by one thread block, in one order: else it would depend on what else is
// multiplied.
bool sums_in_one_piece(const VendorLibrary& library, const cublasLtMatmulAlgo_t& algorithm) {
  std::int32_t pieces = 0;
  std::size_t written = 0;
  return library.call.config(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &pieces, sizeof pieces,
                             &written) == CUBLAS_STATUS_SUCCESS &&
         pieces <= 1;
}

}  // namespace

VendorLibrary* vendor_library(int device) {
  using Owned = std::unique_ptr<VendorLibrary>;
  static const SharedLibrary file = open_first(kCublasLtNames);
  static std::mutex mutex;
  static std::map<int, Owned> opened;
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = opened.try_emplace(device);
  if (is_new) {
    const Functions functions(file);
    if (!file.loaded() || !functions.complete()) return nullptr;
    auto library = std::make_unique<VendorLibrary>(VendorLibrary{functions});
    static_cast<void>(api::use_device(device));
    if (open_on_device(*library)) place->second = std::move(library);
  }
  return place->second.get();
}

bool vendor_keeps_bits(const VendorWay&) { return true; }

std::size_t vendor_workspace_bytes() { return kWorkspaceBytes; }

std::vector<VendorWay> vendor_ways(VendorLibrary& library, const VendorProduct& like) {
  Layouts layouts(library, like);
  cublasLtMatmulPreferenceOpaque_t preference = {};
  const auto wish = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    return library.call.set_preference(&preference, what, &value, sizeof value) ==
           CUBLAS_STATUS_SUCCESS;
  };
  bool made = layouts.made &&
              library.call.preference(&preference, sizeof preference) == CUBLAS_STATUS_SUCCESS;
  made = made && wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes}) &&
         wish(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
              static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  for (const auto matrix :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    made = made && wish(matrix, kAlignment);
  cublasLtMatmulHeuristicResult_t found[kMostWays] = {};
  int count = 0;
  if (!made || library.call.heuristic(library.handle, &library.operation, &layouts.w, &layouts.x,
                                      &layouts.add, &layouts.out, &preference, kMostWays, found,
                                      &count) != CUBLAS_STATUS_SUCCESS)
    return {};
  std::vector<VendorWay> ways;
  for (int i = 0; i < count; ++i) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS || !sums_in_one_piece(library, found[i].algo))
      continue;
    VendorWay& way = ways.emplace_back();
    std::copy(std::begin(found[i].algo.data), std::end(found[i].algo.data), way.words.begin());
  }
  return ways;
}

bool vendor_takes(VendorLibrary& library, const VendorWay& way, const VendorProduct& p) {
  if (!aligned(p.x, p.x_stride) || !aligned(p.w, p.w_stride) || !aligned(p.out, p.out_stride) ||
      (p.add != nullptr && !aligned(p.add, p.add_stride)))
    return false;
  Layouts layouts(library, p);
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(way);
  cublasLtMatmulHeuristicResult_t result = {};
  return layouts.made &&
         library.call.check(library.handle, &library.operation, &layouts.w, &layouts.x,
                            &layouts.add, &layouts.out, &algorithm,
                            &result) == CUBLAS_STATUS_SUCCESS &&
         result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= kWorkspaceBytes;
}

void vendor_multiply(Stream& stream, VendorLibrary& library, const VendorWay& way,
                     const VendorProduct& p, std::byte* workspace) {
  const SimtStream& on = simt_stream(stream);
  on.device().activate();
  Layouts layouts(library, p);
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(way);
  const float one = 1;
  const float added = p.add != nullptr ? 1 : 0;
  const cublasStatus_t status =
      library.call.matmul(library.handle, &library.operation, &one, p.w, &layouts.w, p.x,
                          &layouts.x, &added, p.add != nullptr ? p.add : p.out, &layouts.add, p.out,
                          &layouts.out, &algorithm, workspace, kWorkspaceBytes, on.handle());
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(ErrorCode::runtime, to_string(on.device().info().id),
                fmt::format("cuBLASLt, {} x {} x {}: {}", p.rows, p.n, p.k,
                            library.call.status_text(status)),
                "STRATA_MATMUL=own does without it");
}

#endif

VendorTrial vendor_trial() { return {4096, 512}; }

double vendor_seconds(Stream& stream, void (*work)(void*), void* context) {
  const SimtStream& on = simt_stream(stream);
  on.device().activate();
  cudaEvent_t events[2] = {};
  for (cudaEvent_t& event : events) on.device().check(cudaEventCreate(&event), "creating a timer");
  on.device().check(cudaEventRecord(events[0], on.handle()), "starting a timer");
  work(context);
  on.device().check(cudaEventRecord(events[1], on.handle()), "stopping a timer");
  stream.synchronize();
  float milliseconds = 0;
  on.device().check(cudaEventElapsedTime(&milliseconds, events[0], events[1]), "reading a timer");
  for (cudaEvent_t event : events) static_cast<void>(cudaEventDestroy(event));
  return milliseconds * 1e-3;
}

}  // namespace strata::cuda
