#include "tests/simt_host/fiber_stack.h"

#include <sys/mman.h>

#include <new>

#include "tests/simt_host/sanitizers.h"

namespace strata::simt_host {
namespace {

constexpr std::size_t kGuardBytes = 64 << 10;   // a multiple of every page size
constexpr std::size_t kStackBytes = 256 << 10;  // only what is touched takes memory

}  // namespace

FiberStack::FiberStack() {
  void* mapping = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  mprotect(mapping, kGuardBytes, PROT_NONE);
}

FiberStack::~FiberStack() {
  unpoison(bottom(), kStackBytes);  // of frames that never returned
  munmap(mapping_, kGuardBytes + kStackBytes);
}

std::byte* FiberStack::bottom() const { return mapping_ + kGuardBytes; }

std::size_t FiberStack::bytes() { return kStackBytes; }

}  // namespace strata::simt_host
