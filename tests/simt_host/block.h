#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

// Executes a kernel's blocks on fibers, one fiber per thread of a block. Fibers run one at a time,
// from one rendezvous (barrier, shuffle, vote) to the next, in a seeded random order: what a kernel
// computes must not depend on it.
namespace strata::simt_host {

/// A launch as the executor sees it.
struct HostLaunch {
  std::string name;  ///< for messages: "add.cu:29"
  unsigned blocks[3] = {1, 1, 1};
  unsigned threads = 1;
  std::size_t shared_bytes = 0;
  int lanes = 32;
  std::uint64_t seed = 0;      ///< of the order of blocks and threads
  bool must_wait = false;      ///< each thread must call wait_for_previous()
  std::function<void()> body;  ///< the kernel with its arguments
  /// What is still to be done of the work before it: all of it, when the threads of the first block
  /// have come as far as wait_for_previous(). May be empty.
  std::function<void()> previous;
  std::uint64_t* prefetches = nullptr;  ///< counts those that threads make
};

/// Runs all blocks one after the other; may be called from `previous` of another. Throws what a
/// thread threw, or strata::Error naming the kernel and threads when they diverge at a rendezvous
/// or write outside of the shared memory.
void run_blocks(const HostLaunch& launch);

/// What the running thread is. Valid on a fiber only.
struct ThreadState {
  int thread = 0;
  int threads = 1;
  int lanes = 32;
  int block[3] = {0, 0, 0};
  int blocks[3] = {1, 1, 1};
  std::byte* shared = nullptr;
  bool waited = false;  ///< for the previous kernel
  std::uint64_t* prefetches = nullptr;
};
/// Not inlined where it is used: a fiber always runs on the thread that launched it.
inline thread_local constinit ThreadState* running = nullptr;

/// What the previous kernel wrote is there when it returns, and it may not have been before.
void await_previous();

/// All threads of the block meet; `file` and `line` tell one barrier from another.
void meet_block(const char* file, int line);

/// All lanes of the warp meet, each having given `bytes` bytes (at most 16). Returns what they
/// gave: lane i's at i * 16. Valid until the warp's next meeting but one.
const std::byte* meet_warp(const void* given, std::size_t bytes, const char* file, int line);

/// Throws strata::Error from the running thread, naming kernel, block and thread.
[[noreturn]] void fail_thread(const std::string& what);

}  // namespace strata::simt_host
