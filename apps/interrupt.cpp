#include "apps/interrupt.h"

#include <atomic>
#include <csignal>

namespace strata::apps {
namespace {

// A handler may only touch lock-free atomics: cancel() is a store to one.
std::atomic<RequestHandle*> current{nullptr};
std::atomic<int> received{0};

void on_signal(int signal) {
  received.store(signal);
  if (RequestHandle* handle = current.load()) handle->cancel();
  std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptScope::InterruptScope() {
  received.store(0);
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptScope::InterruptScope(RequestHandle& handle) : InterruptScope() {
  current.store(&handle);
  if (received.load() != 0) handle.cancel();  // it came in between
}

InterruptScope::~InterruptScope() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  current.store(nullptr);
}

int InterruptScope::signal() const { return received.load(); }

}  // namespace strata::apps
