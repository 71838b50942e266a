#pragma once

// The CUDA twin of runtime_api.h: what backends/simt needs of a vendor's runtime. Its siblings are
// backends/hip/runtime_api.h and tests/simt_host/runtime_api.h. Nothing here throws,
// and what gives back says nothing: there is nothing that its callers could do.

#include <cuda_runtime_api.h>

// The same in platform.h, which is for the compiler of kernels.
#define STRATA_SIMT cuda

#include "backends/simt/properties.h"

namespace strata::cuda {

inline constexpr BackendKind kBackend = BackendKind::cuda;

namespace api {

using Status = cudaError_t;
using StreamHandle = cudaStream_t;
using EventHandle = cudaEvent_t;
using GraphHandle = cudaGraphExec_t;
inline constexpr Status kSuccess = cudaSuccess;
inline constexpr Status kNotReady = cudaErrorNotReady;
inline constexpr Status kOutOfMemory = cudaErrorMemoryAllocation;

/// "an illegal memory access was encountered (cudaErrorIllegalAddress)"
std::string text(Status status);
/// Forgets the calling thread's last error, which the next call would report again.
inline void clear_error() { static_cast<void>(cudaGetLastError()); }

/// "driver 580.65.06" where the kernel tells its release, else by the CUDA that it knows.
std::string driver_name(int driver);
/// Versions as 1000 * major + 10 * minor; of the driver 0 when there is none.
inline Status versions(int* runtime, int* driver) {
  const Status status = cudaRuntimeGetVersion(runtime);
  return status == cudaSuccess ? cudaDriverGetVersion(driver) : status;
}
inline Status device_count(int* count) { return cudaGetDeviceCount(count); }
inline Status use_device(int device) { return cudaSetDevice(device); }
inline Status device_synchronize() { return cudaDeviceSynchronize(); }
Status properties(int device, Properties* result);
inline Status memory_info(std::size_t* free, std::size_t* total) {
  return cudaMemGetInfo(free, total);
}

inline Status malloc_async(void** data, std::size_t bytes, StreamHandle stream) {
  return cudaMallocAsync(data, bytes, stream);
}
inline void free_async(void* data, StreamHandle stream) {
  static_cast<void>(cudaFreeAsync(data, stream));
}
inline Status malloc_plain(void** data, std::size_t bytes) { return cudaMalloc(data, bytes); }
inline void free_plain(void* data) { static_cast<void>(cudaFree(data)); }
inline Status host_alloc(void** data, std::size_t bytes) {
  return cudaHostAlloc(data, bytes, cudaHostAllocPortable);
}
inline void host_free(void* data) { static_cast<void>(cudaFreeHost(data)); }
inline Status host_register(void* data, std::size_t bytes) {
  return cudaHostRegister(
      data, bytes, cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterReadOnly);
}
inline void host_unregister(void* data) { static_cast<void>(cudaHostUnregister(data)); }

inline Status memcpy_async(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}
inline Status memset_async(void* data, int value, std::size_t bytes, StreamHandle stream) {
  return cudaMemsetAsync(data, value, bytes, stream);
}

inline Status stream_create(StreamHandle* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
}
inline void stream_destroy(StreamHandle stream) { static_cast<void>(cudaStreamDestroy(stream)); }
inline Status stream_query(StreamHandle stream) { return cudaStreamQuery(stream); }
inline Status stream_synchronize(StreamHandle stream) { return cudaStreamSynchronize(stream); }
inline Status stream_wait(StreamHandle stream, EventHandle event) {
  return cudaStreamWaitEvent(stream, event, 0);
}
inline void* native(StreamHandle stream) { return stream; }
inline Status event_create(EventHandle* event) {
  return cudaEventCreateWithFlags(event, cudaEventDisableTiming);
}
inline void event_destroy(EventHandle event) { static_cast<void>(cudaEventDestroy(event)); }
inline Status event_record(EventHandle event, StreamHandle stream) {
  return cudaEventRecord(event, stream);
}
inline Status event_query(EventHandle event) { return cudaEventQuery(event); }
inline Status event_synchronize(EventHandle event) { return cudaEventSynchronize(event); }
inline Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context) {
  return cudaLaunchHostFunc(stream, run, context);
}

inline Status begin_capture(StreamHandle stream) {
  return cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
}
/// Ends the capture; *graph is null when it failed.
Status end_capture(StreamHandle stream, GraphHandle* graph);
inline Status graph_launch(GraphHandle graph, StreamHandle stream) {
  return cudaGraphLaunch(graph, stream);
}
inline void graph_destroy(GraphHandle graph) { static_cast<void>(cudaGraphExecDestroy(graph)); }

Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void** arguments);

}  // namespace api
}  // namespace strata::cuda
