#include "backends/hip/runtime_api.h"

#include <memory>
#include <string>

namespace strata::hip::api {
namespace {

int attribute(hipDeviceAttribute_t which, int device) {
  int value = 0;
  return hipDeviceGetAttribute(&value, which, device) == hipSuccess ? value : 0;
}

#if defined(__HIP_PLATFORM_NVIDIA__)

// Above this a kernel must say that it wants as much.
constexpr std::size_t kSharedByDefault = 48 << 10;

void describe_platform(int device, const hipDeviceProp_t& vendor, Properties* result) {
  result->arch = "sm_" + std::to_string(vendor.major) + std::to_string(vendor.minor);
  result->has_bf16_tiles = false;  // the tile type of this twin is AMD's
  int shared = 0;
  if (cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) ==
      cudaSuccess)
    result->shared_bytes = static_cast<std::size_t>(shared);
}

#else

bool begins_with(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

void describe_platform(int, const hipDeviceProp_t& vendor, Properties* result) {
  result->arch = vendor.gcnArchName;  // "gfx90a:sramecc+:xnack-"
  result->arch = result->arch.substr(0, result->arch.find(':'));
  for (const char* start : {"gfx90a", "gfx94", "gfx95", "gfx11", "gfx12"})
    if (begins_with(result->arch, start)) result->has_bf16_tiles = true;
}

#endif

}  // namespace

std::string text(Status status) {
  return std::string(hipGetErrorString(status)) + " (" + hipGetErrorName(status) + ")";
}

Status properties(int device, Properties* result) {
  hipDeviceProp_t vendor;
  const Status status = hipGetDeviceProperties(&vendor, device);
  if (status != hipSuccess) return status;
  result->name = vendor.name;
  result->memory_bytes = vendor.totalGlobalMem;
  result->shared_bytes = vendor.sharedMemPerBlock;
  result->lanes = vendor.warpSize;
  result->compute_units = vendor.multiProcessorCount;
  result->unified = vendor.integrated != 0;
  result->has_memory_pools = attribute(hipDeviceAttributeMemoryPoolsSupported, device) != 0;
  result->can_register =
      attribute(hipDeviceAttributeCanUseHostPointerForRegisteredMem, device) != 0;
  describe_platform(device, vendor, result);
  return hipSuccess;
}

#if defined(__HIP_PLATFORM_NVIDIA__)
// HIP 5.2's headers for NVIDIA have no name for it.
Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context) {
  return hipCUDAErrorTohipError(cudaLaunchHostFunc(stream, run, context));
}
#else
// HIP 5.2 declares hipLaunchHostFunc and lacks it in its library.
Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context) {
  struct Call {
    void (*run)(void*);
    void* context;
  };
  auto call = std::make_unique<Call>(Call{run, context});
  const auto callback = [](hipStream_t, hipError_t, void* data) {
    const std::unique_ptr<Call> owned(static_cast<Call*>(data));
    owned->run(owned->context);
  };
  const Status status = hipStreamAddCallback(stream, callback, call.get(), 0);
  if (status == hipSuccess) static_cast<void>(call.release());
  return status;
}
#endif

Status end_capture(StreamHandle stream, GraphHandle* graph) {
  *graph = nullptr;
  hipGraph_t captured = nullptr;
  Status status = hipStreamEndCapture(stream, &captured);
  if (status == hipSuccess) status = hipGraphInstantiate(graph, captured, nullptr, nullptr, 0);
  if (captured != nullptr) static_cast<void>(hipGraphDestroy(captured));
  return status;
}

Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void** arguments) {
#if defined(__HIP_PLATFORM_NVIDIA__)
  if (shape.shared_bytes > kSharedByDefault) {
    const Status status = hipFuncSetAttribute(kernel, hipFuncAttributeMaxDynamicSharedMemorySize,
                                              static_cast<int>(shape.shared_bytes));
    if (status != hipSuccess) return status;
  }
#endif
  return hipLaunchKernel(kernel, dim3(shape.blocks.x, shape.blocks.y, shape.blocks.z),
                         dim3(shape.threads), arguments, shape.shared_bytes, stream);
}

}  // namespace strata::hip::api
