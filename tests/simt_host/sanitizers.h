#pragma once

#include <cstddef>

// What the sanitizers must be told of stacks that we switch ourselves; nothing without them.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace strata::simt_host {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kGuardsTrap = true;
inline void before_switch(void** fake_stack, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
inline void after_switch(void* fake_stack, const void** bottom, std::size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
}
inline void poison(const void* data, std::size_t bytes) {
  __asan_poison_memory_region(data, bytes);
}
inline void unpoison(const void* data, std::size_t bytes) {
  __asan_unpoison_memory_region(data, bytes);
}
#else
inline constexpr bool kGuardsTrap = false;
inline void before_switch(void**, const void*, std::size_t) {}
inline void after_switch(void*, const void**, std::size_t*) {}
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
#endif

#if defined(__SANITIZE_THREAD__)
inline void* create_fiber() { return __tsan_create_fiber(0); }
inline void destroy_fiber(void* fiber) { __tsan_destroy_fiber(fiber); }
inline void* this_fiber() { return __tsan_get_current_fiber(); }
inline void announce_fiber(void* fiber) { __tsan_switch_to_fiber(fiber, 0); }
#else
inline void* create_fiber() { return nullptr; }
inline void destroy_fiber(void*) {}
inline void* this_fiber() { return nullptr; }
inline void announce_fiber(void*) {}
#endif

}  // namespace strata::simt_host
