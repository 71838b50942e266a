#include "backends/libraries.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <span>

#include "backends/nvml.h"
#include "runtime/core/vendor_libraries.h"

namespace strata {
namespace {

std::string numbered(std::size_t version, std::size_t major) {
  return fmt::format("{}.{}.{}", version / major, version % major / 100, version % 100);
}

std::string cublaslt_version(const SharedLibrary& library) {
  auto* const version = library.function<std::size_t()>("cublasLtGetVersion");
  return version != nullptr ? numbered(version(), 10'000) : "";
}

// NCCL's and RCCL's: 22809 is 2.28.9, and before 2.9 2804 was 2.8.4.
std::string nccl_version(const SharedLibrary& library) {
  auto* const version = library.function<int(int*)>("ncclGetVersion");
  int number = 0;
  if (version == nullptr || version(&number) != 0 || number <= 0) return {};
  return numbered(static_cast<std::size_t>(number), number < 10'000 ? 1000 : 10'000);
}

std::string rocblas_version(const SharedLibrary& library) {
  auto* const version = library.function<int(char*, std::size_t)>("rocblas_get_version_string");
  std::array<char, 128> text{};
  if (version == nullptr || version(text.data(), text.size() - 1) != 0) return {};
  std::string number = text.data();  // "2.47.0."
  while (number.ends_with('.')) number.pop_back();
  return number;
}

// hipBLAS and hipBLASLt say their version only where there is a GPU; their files have one too:
// libhipblas.so.0.1, libhipblaslt.so.1.0.70000.
std::string file_version(const SharedLibrary& library, const char* known_function) {
  Dl_info place{};
  const void* const known = library.symbol(known_function);
  if (known == nullptr || dladdr(known, &place) == 0) return {};
  std::error_code failed;
  const std::string file = std::filesystem::canonical(place.dli_fname, failed).filename().string();
  const std::size_t at = file.find(".so.");
  return failed || at == std::string::npos ? "" : file.substr(at + 4);
}

std::string hipblas_version(const SharedLibrary& library) {
  return file_version(library, "hipblasCreate");
}

std::string hipblaslt_version(const SharedLibrary& library) {
  return file_version(library, "hipblasLtCreate");
}

struct Row {
  BackendKind backend;
  const char* name;
  std::span<const char* const> names;
  std::string (*version)(const SharedLibrary&);
  const char* purpose;
  const char* hint;
};
constexpr Row kRows[] = {
    {BackendKind::cuda, "cuBLASLt", kCublasLtNames, cublaslt_version,
     "products of prompts, where it is faster than our kernels",
     "install CUDA 13's cuBLAS, or name the folder of libcublasLt.so.13 in LD_LIBRARY_PATH"},
    {BackendKind::cuda, "NCCL", kNcclNames, nccl_version,
     "for activations among GPUs of one machine; this version computes without",
     "install libnccl2, or name the folder of libnccl.so.2 in LD_LIBRARY_PATH"},
    {BackendKind::hip, "hipBLASLt", kHipblasltNames, hipblaslt_version,
     "products of prompts, where it is faster than our kernels", "install ROCm's hipblaslt"},
    {BackendKind::hip, "rocBLAS", kRocblasNames, rocblas_version,
     "products of prompts with STRATA_MATMUL=library, where hipBLASLt has no way",
     "install librocblas0, or ROCm's rocblas"},
    {BackendKind::hip, "hipBLAS", kHipblasNames, hipblas_version,
     "not used: products call rocBLAS, which it calls too",
     "install libhipblas0, or ROCm's hipblas"},
    {BackendKind::hip, "RCCL", kRcclNames, nccl_version,
     "for activations among GPUs of one machine; this version computes without",
     "install librccl1, or ROCm's rccl"},
};

LibraryStatus status_of(const Row& row) {
  const SharedLibrary library = open_first(row.names);
  LibraryStatus status{row.backend,   row.name,    library.loaded(), {},
                       library.why(), row.purpose, row.hint};
  if (status.found) status.version = row.version(library);
  return status;
}

LibraryStatus nvml_status() {
  const Nvml nvml;
  return {BackendKind::cuda,
          "NVML",
          nvml.usable(),
          nvml.version(),
          nvml.why(),
          "clocks, power limit, PCIe and UUID in strata devices",
          "it comes with the NVIDIA driver (Debian: libnvidia-ml1)"};
}

}  // namespace

std::vector<LibraryStatus> library_statuses(BackendKind backend) {
  std::vector<LibraryStatus> statuses;
  for (const Row& row : kRows)
    if (row.backend == backend) statuses.push_back(status_of(row));
  if (backend == BackendKind::cuda) statuses.push_back(nvml_status());
  return statuses;
}

}  // namespace strata
