#pragma once

// Included before HIP's headers where the HIP backend is compiled for NVIDIA GPUs. HIP 5.2's
// headers for that platform were written for CUDA 11: what CUDA 13 has dropped or changed since is
// put back here in its old form, so that they compile. Our backend calls next to nothing of it.

#include <cuda.h>
#include <cuda_runtime.h>

// --- Fields of the device properties that became attributes.
struct StrataDeviceProp : cudaDeviceProp {
  int clockRate = 0;  // kHz
  int memoryClockRate = 0;
  int computeMode = 0;
  int kernelExecTimeoutEnabled = 0;
  int cooperativeMultiDeviceLaunch = 0;  // no longer offered
};

inline cudaError_t strata_device_properties(StrataDeviceProp* properties, int device) {
  cudaError_t status = cudaGetDeviceProperties(properties, device);
  const auto fill = [&](int* field, cudaDeviceAttr attribute) {
    if (status == cudaSuccess) status = cudaDeviceGetAttribute(field, attribute, device);
  };
  fill(&properties->clockRate, cudaDevAttrClockRate);
  fill(&properties->memoryClockRate, cudaDevAttrMemoryClockRate);
  fill(&properties->computeMode, cudaDevAttrComputeMode);
  fill(&properties->kernelExecTimeoutEnabled, cudaDevAttrKernelExecTimeout);
  return status;
}

inline cudaError_t cudaChooseDevice(int* device, const StrataDeviceProp* wanted) {
  return cudaChooseDevice(device, static_cast<const cudaDeviceProp*>(wanted));
}

#define cudaDeviceProp StrataDeviceProp
#define cudaGetDeviceProperties strata_device_properties
#define cudaDevAttrCooperativeMultiDeviceLaunch static_cast<cudaDeviceAttr>(96)

// --- A place in memory was a device number, negative for the host.
inline cudaMemLocation strata_memory_location(int device) {
  cudaMemLocation location{};
  location.type = device < 0 ? cudaMemLocationTypeHost : cudaMemLocationTypeDevice;
  location.id = device < 0 ? 0 : device;
  return location;
}

inline cudaError_t cudaMemAdvise(const void* data, std::size_t bytes, cudaMemoryAdvise advice,
                                 int device) {
  return cudaMemAdvise(data, bytes, advice, strata_memory_location(device));
}

inline cudaError_t cudaMemPrefetchAsync(const void* data, std::size_t bytes, int device,
                                        cudaStream_t stream) {
  return cudaMemPrefetchAsync(data, bytes, strata_memory_location(device), 0, stream);
}

// --- Contexts had no further parameters.
#undef cuCtxCreate
inline CUresult cuCtxCreate(CUcontext* context, unsigned flags, CUdevice device) {
  return cuCtxCreate_v4(context, nullptr, flags, device);
}

// --- Edges of graphs had no data of their own.
using StrataNodes = const cudaGraphNode_t*;

inline cudaError_t cudaGraphAddDependencies(cudaGraph_t graph, StrataNodes from, StrataNodes to,
                                            std::size_t count) {
  return cudaGraphAddDependencies(graph, from, to, nullptr, count);
}
inline cudaError_t cudaGraphRemoveDependencies(cudaGraph_t graph, StrataNodes from, StrataNodes to,
                                               std::size_t count) {
  return cudaGraphRemoveDependencies(graph, from, to, nullptr, count);
}
inline cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to,
                                     std::size_t* count) {
  return cudaGraphGetEdges(graph, from, to, nullptr, count);
}
inline cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t* nodes,
                                                std::size_t* count) {
  return cudaGraphNodeGetDependencies(node, nodes, nullptr, count);
}
inline cudaError_t cudaGraphNodeGetDependentNodes(cudaGraphNode_t node, cudaGraphNode_t* nodes,
                                                  std::size_t* count) {
  return cudaGraphNodeGetDependentNodes(node, nodes, nullptr, count);
}
inline cudaError_t cudaStreamGetCaptureInfo_v2(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                               unsigned long long* id, cudaGraph_t* graph,
                                               StrataNodes* nodes, std::size_t* count) {
  return cudaStreamGetCaptureInfo(stream, status, id, graph, nodes, nullptr, count);
}
inline cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t stream, cudaGraphNode_t* nodes,
                                                       std::size_t count, unsigned flags) {
  return cudaStreamUpdateCaptureDependencies(stream, nodes, nullptr, count, flags);
}

// --- Texture references and launches over several devices are gone: calling one says so.
template <class T, int dimensions, cudaTextureReadMode mode>
struct texture {};

template <class... Arguments>
inline cudaError_t strata_gone(Arguments&&...) {
  return cudaErrorNotSupported;
}

#define cudaBindTexture strata_gone
#define cudaBindTexture2D strata_gone
#define cudaBindTextureToArray strata_gone
#define cudaUnbindTexture strata_gone
#define cudaGetTextureAlignmentOffset strata_gone
#define cudaLaunchCooperativeKernelMultiDevice strata_gone

// --- What HIP's headers declare for nvcc alone, though plain C++ could have it: graphs.
#if !defined(__CUDACC__)
#include <hip/hip_runtime_api.h>

inline hipError_t hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode) {
  return hipCUDAErrorTohipError(cudaStreamBeginCapture(stream, mode));
}
inline hipError_t hipStreamEndCapture(hipStream_t stream, hipGraph_t* graph) {
  return hipCUDAErrorTohipError(cudaStreamEndCapture(stream, graph));
}
inline hipError_t hipGraphInstantiate(hipGraphExec_t* made, hipGraph_t graph, hipGraphNode_t*,
                                      char*, std::size_t) {
  return hipCUDAErrorTohipError(cudaGraphInstantiate(made, graph, 0));
}
inline hipError_t hipGraphLaunch(hipGraphExec_t graph, hipStream_t stream) {
  return hipCUDAErrorTohipError(cudaGraphLaunch(graph, stream));
}
inline hipError_t hipGraphDestroy(hipGraph_t graph) {
  return hipCUDAErrorTohipError(cudaGraphDestroy(graph));
}
inline hipError_t hipGraphExecDestroy(hipGraphExec_t graph) {
  return hipCUDAErrorTohipError(cudaGraphExecDestroy(graph));
}
#endif
