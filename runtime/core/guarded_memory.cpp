#include "runtime/core/guarded_memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

namespace strata {
namespace {

constexpr std::uintptr_t kNothingLost = ~std::uintptr_t{0};

/// One guarded range. The handler reads it while others may change the table: a slot is in use once
/// `begin` is set, which is written last and cleared first.
struct Range {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::uintptr_t> lost{kNothingLost};  // address of the first byte that is gone
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

// Constant-initialized: the handler may run at any time, also before main.
constinit std::array<Range, MemoryGuard::kMostGuards> ranges;
constinit std::atomic<std::size_t> ranges_used{0};  // all before this were in use at some time
std::uintptr_t page_bytes = 4096;                   // set before the handler is installed
struct sigaction previous_action{};

std::mutex& table_mutex() {
  static std::mutex mutex;
  return mutex;
}

Range* range_of(std::uintptr_t address) {
  const std::size_t count = ranges_used.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uintptr_t begin = ranges[i].begin.load(std::memory_order_acquire);
    if (begin != 0 && begin <= address && address < ranges[i].end.load(std::memory_order_relaxed))
      return &ranges[i];
  }
  return nullptr;
}

/// Puts zeros in the place of what is left of the range. One piece up to the end, so that a file
/// cut short costs one fault and one mapping, not one per page.
bool replace_from(Range& range, std::uintptr_t address) {
  const std::uintptr_t page = address / page_bytes * page_bytes;
  const std::uintptr_t end = range.end.load(std::memory_order_relaxed);
  std::uintptr_t lost = range.lost.load(std::memory_order_relaxed);
  while (page < lost && !range.lost.compare_exchange_weak(lost, page)) {
  }
  void* const at = reinterpret_cast<void*>(page);  // NOLINT(performance-no-int-to-ptr)
  return ::mmap(at, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                -1, 0) == at;
}

void hand_on(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr)
    return previous_action.sa_sigaction(signal, info, context);
  if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN)
    return previous_action.sa_handler(signal);
  // The touch is made again and ends the process, as it would have without us.
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
}

void on_sigbus(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  // One that was sent (kill) has no address.
  Range* range =
      info->si_code > 0 ? range_of(reinterpret_cast<std::uintptr_t>(info->si_addr)) : nullptr;
  if (range == nullptr || !replace_from(*range, reinterpret_cast<std::uintptr_t>(info->si_addr)))
    hand_on(signal, info, context);
  errno = error;
}

void install_handler() {
  static const bool installed = [] {
    page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    return ::sigaction(SIGBUS, &action, &previous_action) == 0;
  }();
  static_cast<void>(installed);
}

}  // namespace

MemoryGuard::MemoryGuard(std::span<const std::byte> range) {
  if (range.empty()) return;
  const std::lock_guard lock(table_mutex());
  install_handler();
  const std::size_t used = ranges_used.load(std::memory_order_relaxed);
  std::size_t i = 0;
  while (i < used && ranges[i].begin.load(std::memory_order_relaxed) != 0) ++i;
  if (i == kMostGuards) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
  const std::uintptr_t end = (begin + range.size() + page_bytes - 1) / page_bytes * page_bytes;
  ranges[i].end.store(end, std::memory_order_relaxed);
  ranges[i].lost.store(kNothingLost, std::memory_order_relaxed);
  ranges[i].begin.store(begin, std::memory_order_release);
  if (i == used) ranges_used.store(used + 1, std::memory_order_release);
  index_ = i;
}

MemoryGuard::MemoryGuard(MemoryGuard&& other) noexcept
    : index_(std::exchange(other.index_, kMostGuards)) {}

MemoryGuard& MemoryGuard::operator=(MemoryGuard&& other) noexcept {
  std::swap(index_, other.index_);
  return *this;
}

MemoryGuard::~MemoryGuard() {
  if (!active()) return;
  const std::lock_guard lock(table_mutex());
  ranges[index_].begin.store(0, std::memory_order_release);
}

std::optional<std::uint64_t> MemoryGuard::lost_from() const noexcept {
  if (!active()) return std::nullopt;
  const std::uintptr_t lost = ranges[index_].lost.load(std::memory_order_acquire);
  if (lost == kNothingLost) return std::nullopt;
  return lost - ranges[index_].begin.load(std::memory_order_relaxed);
}

}  // namespace strata
