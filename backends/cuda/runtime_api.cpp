#include "backends/cuda/runtime_api.h"

#include <cctype>
#include <fstream>
#include <string>

namespace strata::cuda::api {
namespace {

// Above this a kernel must say that it wants as much.
constexpr std::size_t kSharedByDefault = 48 << 10;

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, which, device) == cudaSuccess ? value : 0;
}

// "580.65.06" of the line "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ..."
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;)
    if (std::isdigit(static_cast<unsigned char>(word[0])) && word.find('.') != std::string::npos)
      return word;
  return {};
}

}  // namespace

std::string driver_name(int driver) {
  const std::string release = driver_release();
  if (!release.empty()) return "driver " + release;
  return "driver for CUDA " + std::to_string(driver / 1000) + "." +
         std::to_string(driver % 1000 / 10);
}

std::string text(Status status) {
  return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
}

Status properties(int device, Properties* result) {
  cudaDeviceProp vendor;
  const Status status = cudaGetDeviceProperties(&vendor, device);
  if (status != cudaSuccess) return status;
  result->name = vendor.name;
  result->arch = "sm_" + std::to_string(vendor.major) + std::to_string(vendor.minor);
  int driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess) result->driver = driver_name(driver);
  result->memory_bytes = vendor.totalGlobalMem;
  result->shared_bytes = vendor.sharedMemPerBlockOptin;
  result->lanes = vendor.warpSize;
  result->compute_units = vendor.multiProcessorCount;
  result->unified = vendor.integrated != 0;
  result->has_bf16_tiles = vendor.major >= 8;
  result->can_overlap = vendor.major >= 9;
  result->has_memory_pools = attribute(cudaDevAttrMemoryPoolsSupported, device) != 0;
  result->can_register = attribute(cudaDevAttrHostRegisterReadOnlySupported, device) != 0 &&
                         attribute(cudaDevAttrCanUseHostPointerForRegisteredMem, device) != 0;
  return cudaSuccess;
}

Status end_capture(StreamHandle stream, GraphHandle* graph) {
  *graph = nullptr;
  cudaGraph_t captured = nullptr;
  Status status = cudaStreamEndCapture(stream, &captured);
  if (status == cudaSuccess) status = cudaGraphInstantiate(graph, captured, 0);
  if (captured != nullptr) cudaGraphDestroy(captured);
  if (status == cudaSuccess) status = cudaGraphUpload(*graph, stream);
  return status;
}

Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void** arguments) {
  if (shape.shared_bytes > kSharedByDefault) {
    const Status status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                               static_cast<int>(shape.shared_bytes));
    if (status != cudaSuccess) return status;
  }
  cudaLaunchAttribute overlap;
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(shape.blocks.x, shape.blocks.y, shape.blocks.z);
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = shape.start == Start::overlapped ? 1 : 0;
  return cudaLaunchKernelExC(&config, kernel, arguments);
}

}  // namespace strata::cuda::api
