#pragma once

// The HIP twin of runtime_api.h: what backends/simt needs of a vendor's runtime. Its siblings are
// backends/cuda/runtime_api.h and tests/simt_host/runtime_api.h. Nothing here throws,
// and what gives back says nothing: there is nothing that its callers could do.

#include <hip/hip_runtime_api.h>

// The same in platform.h, which is for the compiler of kernels.
#define STRATA_SIMT hip

#include "backends/simt/properties.h"

namespace strata::hip {

inline constexpr BackendKind kBackend = BackendKind::hip;

namespace api {

using Status = hipError_t;
using StreamHandle = hipStream_t;
using EventHandle = hipEvent_t;
using GraphHandle = hipGraphExec_t;
inline constexpr Status kSuccess = hipSuccess;
inline constexpr Status kNotReady = hipErrorNotReady;
inline constexpr Status kOutOfMemory = hipErrorOutOfMemory;

/// "no ROCm-capable device is detected (hipErrorNoDevice)"
std::string text(Status status);
/// Forgets the calling thread's last error, which the next call would report again.
inline void clear_error() { static_cast<void>(hipGetLastError()); }

/// Versions as 1000 * major + 10 * minor; of the driver 0 when there is none.
inline Status versions(int* runtime, int* driver) {
  const Status status = hipRuntimeGetVersion(runtime);
  return status == hipSuccess ? hipDriverGetVersion(driver) : status;
}
inline Status device_count(int* count) { return hipGetDeviceCount(count); }
inline Status use_device(int device) { return hipSetDevice(device); }
inline Status device_synchronize() { return hipDeviceSynchronize(); }
Status properties(int device, Properties* result);
inline Status memory_info(std::size_t* free, std::size_t* total) {
  return hipMemGetInfo(free, total);
}

inline Status malloc_async(void** data, std::size_t bytes, StreamHandle stream) {
  return hipMallocAsync(data, bytes, stream);
}
inline void free_async(void* data, StreamHandle stream) {
  static_cast<void>(hipFreeAsync(data, stream));
}
inline Status malloc_plain(void** data, std::size_t bytes) { return hipMalloc(data, bytes); }
inline void free_plain(void* data) { static_cast<void>(hipFree(data)); }
inline Status host_alloc(void** data, std::size_t bytes) {
  return hipHostMalloc(data, bytes, hipHostMallocPortable);
}
inline void host_free(void* data) { static_cast<void>(hipHostFree(data)); }
inline Status host_register(void* data, std::size_t bytes) {
  return hipHostRegister(data, bytes, hipHostRegisterPortable | hipHostRegisterMapped);
}
inline void host_unregister(void* data) { static_cast<void>(hipHostUnregister(data)); }

inline Status memcpy_async(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  return hipMemcpyAsync(to, from, bytes, hipMemcpyDefault, stream);
}
inline Status memset_async(void* data, int value, std::size_t bytes, StreamHandle stream) {
  return hipMemsetAsync(data, value, bytes, stream);
}

inline Status stream_create(StreamHandle* stream) {
  return hipStreamCreateWithFlags(stream, hipStreamNonBlocking);
}
inline void stream_destroy(StreamHandle stream) { static_cast<void>(hipStreamDestroy(stream)); }
inline Status stream_query(StreamHandle stream) { return hipStreamQuery(stream); }
inline Status stream_synchronize(StreamHandle stream) { return hipStreamSynchronize(stream); }
inline Status stream_wait(StreamHandle stream, EventHandle event) {
  return hipStreamWaitEvent(stream, event, 0);
}
inline void* native(StreamHandle stream) { return stream; }
inline Status event_create(EventHandle* event) {
  return hipEventCreateWithFlags(event, hipEventDisableTiming);
}
inline void event_destroy(EventHandle event) { static_cast<void>(hipEventDestroy(event)); }
inline Status event_record(EventHandle event, StreamHandle stream) {
  return hipEventRecord(event, stream);
}
inline Status event_query(EventHandle event) { return hipEventQuery(event); }
inline Status event_synchronize(EventHandle event) { return hipEventSynchronize(event); }
Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context);

inline Status begin_capture(StreamHandle stream) {
  return hipStreamBeginCapture(stream, hipStreamCaptureModeThreadLocal);
}
/// Ends the capture; *graph is null when it failed.
Status end_capture(StreamHandle stream, GraphHandle* graph);
inline Status graph_launch(GraphHandle graph, StreamHandle stream) {
  return hipGraphLaunch(graph, stream);
}
inline void graph_destroy(GraphHandle graph) { static_cast<void>(hipGraphExecDestroy(graph)); }

Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void** arguments);

}  // namespace api
}  // namespace strata::hip
