// Links hipBLAS, rocBLAS and RCCL as a distribution packages them with our HIP headers: compiled
// and run by tools/check_bare_debian.sh --hip. It needs no GPU, and says what each library is.
#include <hipblas/hipblas.h>
#include <rccl/rccl.h>
#include <rocblas/rocblas.h>

#include <cstdio>
#include <type_traits>

#include "backends/hip/rocblas.h"
#include "backends/hip/runtime_api.h"

namespace rocblas = strata::hip::rocblas;

// What the HIP backend says of rocBLAS without its header is what the header says.
static_assert(rocblas::kDone == rocblas_status_success);
static_assert(int{rocblas::kAsItIs} == rocblas_operation_none);
static_assert(int{rocblas::kTransposed} == rocblas_operation_transpose);
static_assert(int{rocblas::kF32} == rocblas_datatype_f32_r);
static_assert(int{rocblas::kBf16} == rocblas_datatype_bf16_r);
static_assert(int{rocblas::kStandard} == rocblas_gemm_algo_standard);
static_assert(sizeof(rocblas_int) == sizeof(int) && sizeof(rocblas_handle) == sizeof(void*));

template <class Function>
struct Arguments;
template <class Result, class... A>
struct Arguments<Result(A...)> {
  static constexpr int count = sizeof...(A);
};
static_assert(Arguments<rocblas::GemmEx>::count == Arguments<decltype(rocblas_gemm_ex)>::count);
static_assert(Arguments<rocblas::SetWorkspace>::count ==
              Arguments<decltype(rocblas_set_workspace)>::count);
static_assert(std::is_same_v<decltype(rocblas_set_stream),
                             rocblas_status(rocblas_handle, strata::hip::api::StreamHandle)>);

int main() {
  int devices = 0;
  const auto status = strata::hip::api::device_count(&devices);
  std::printf("HIP: %d devices, status %d\n", devices, static_cast<int>(status));
  char version[64] = {};
  if (rocblas_get_version_string(version, sizeof version) != rocblas_status_success) return 1;
  std::printf("rocBLAS %s\n", version);
  int rccl = 0;
  if (ncclGetVersion(&rccl) != ncclSuccess || rccl <= 0) return 1;
  std::printf("RCCL %d\n", rccl);
  // Without a GPU it must refuse, and not end the program.
  hipblasHandle_t handle = nullptr;
  const hipblasStatus_t created = devices > 0 ? HIPBLAS_STATUS_SUCCESS : hipblasCreate(&handle);
  std::printf("hipBLAS %d.%d: status %d\n", hipblasVersionMajor, hipblasVersionMinor,
              static_cast<int>(created));
  return devices == 0 && created == HIPBLAS_STATUS_SUCCESS ? 1 : 0;
}
