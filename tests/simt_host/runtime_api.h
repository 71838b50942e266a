#pragma once

// The twin of runtime_api.h that runs on the CPU: memory is the heap, work runs when it is
// enqueued, a graph is a list of closures. Faults are asked for in machine.h.

// The same in platform.h, which is for the compiler of kernels.
#define STRATA_SIMT simt_host

#include "backends/simt/properties.h"

namespace strata::simt_host {

inline constexpr BackendKind kBackend = BackendKind::simt_host;

struct HostStream;
struct HostEvent;
struct HostGraph;

namespace api {

enum class Status { success, not_ready, out_of_memory, invalid_value, launch_failure, no_device };
using StreamHandle = HostStream*;
using EventHandle = HostEvent*;
using GraphHandle = HostGraph*;
inline constexpr Status kSuccess = Status::success;
inline constexpr Status kNotReady = Status::not_ready;
inline constexpr Status kOutOfMemory = Status::out_of_memory;

std::string text(Status status);
inline void clear_error() {}

Status device_count(int* count);
Status use_device(int device);
inline Status device_synchronize() { return kSuccess; }
Status properties(int device, Properties* result);
Status memory_info(std::size_t* free, std::size_t* total);

Status malloc_async(void** data, std::size_t bytes, StreamHandle stream);
void free_async(void* data, StreamHandle stream);
Status malloc_plain(void** data, std::size_t bytes);
void free_plain(void* data);
Status host_alloc(void** data, std::size_t bytes);
void host_free(void* data);
Status host_register(void* data, std::size_t bytes);
void host_unregister(void* data);

Status memcpy_async(void* to, const void* from, std::size_t bytes, StreamHandle stream);
Status memset_async(void* data, int value, std::size_t bytes, StreamHandle stream);

Status stream_create(StreamHandle* stream);
void stream_destroy(StreamHandle stream);
Status stream_query(StreamHandle stream);
Status stream_synchronize(StreamHandle stream);
Status stream_wait(StreamHandle stream, EventHandle event);
inline void* native(StreamHandle stream) { return stream; }
Status event_create(EventHandle* event);
void event_destroy(EventHandle event);
Status event_record(EventHandle event, StreamHandle stream);
Status event_query(EventHandle event);
Status event_synchronize(EventHandle event);
Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context);

Status begin_capture(StreamHandle stream);
Status end_capture(StreamHandle stream, GraphHandle* graph);
Status graph_launch(GraphHandle graph, StreamHandle stream);
void graph_destroy(GraphHandle graph);

/// `kernel` is a HostKernel. Throws what its threads throw.
Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void** arguments);

}  // namespace api
}  // namespace strata::simt_host
