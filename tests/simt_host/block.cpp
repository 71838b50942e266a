#include "tests/simt_host/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "tests/simt_host/fiber_stack.h"
#include "tests/simt_host/fiber_switch.h"
#include "tests/simt_host/sanitizers.h"
#include "tests/simt_host/shared_area.h"

namespace strata::simt_host {
namespace {

constexpr std::size_t kMaxLaneCount = 64;
constexpr std::size_t kSlotBytes = 16;

enum class Status { ready, in_block, in_warp, done };

struct Site {
  const char* file = nullptr;
  int line = 0;
  friend bool operator==(const Site& a, const Site& b) {
    return a.line == b.line && std::string_view(a.file) == b.file;
  }
};

struct Fiber {
  FiberStack stack;
  void* stack_pointer = nullptr;
  void* fake_stack = nullptr;
  void* tsan = create_fiber();
  ThreadState state;
  Status status = Status::done;
  Site site;  // of the rendezvous that it waits at

  ~Fiber() { destroy_fiber(tsan); }
};

// What the lanes of a warp gave at a meeting; the next one uses the other half, so that a lane
// that goes ahead leaves what the others still read.
struct Warp {
  std::array<std::array<std::byte, kMaxLaneCount * kSlotBytes>, 2> given{};
  unsigned half = 0;
  int arrived = 0;
};

struct Unwound {};  // thrown at a rendezvous that will never be complete

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// xorshift64*, which is quick and good enough to choose who runs next.
class Choice {
 public:
  explicit Choice(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u | 1u) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du >> 16;
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }

 private:
  std::uint64_t state_;
};

// One per host thread; keeps its fibers from launch to launch.
class Executor {
 public:
  void run(const HostLaunch& launch);
  void meet_block(Site site);
  const std::byte* meet_warp(const void* given, std::size_t bytes, Site site);
  void await_previous();
  [[noreturn]] void fail(const std::string& what);

 private:
  static void entry();
  void run_block(std::uint64_t index);
  void run_thread();
  void check_site(Status status, int first, int last, Site site);
  void release(Status status, int first, int last);
  void wait(Status status, Site site);
  void rejoin();
  void leave();
  void go_to_next(void** stack_pointer, void** fake_stack);
  void stop(std::exception_ptr error);
  std::string who_waits_where() const;
  Fiber& current() { return *fibers_[static_cast<std::size_t>(running->thread)]; }

  const HostLaunch* launch_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  std::vector<int> ready_;
  int threads_ = 0;
  int alive_ = 0;
  int in_block_ = 0;
  Choice choice_{0};
  SharedArea shared_;
  std::exception_ptr error_;
  bool unwinding_ = false;
  bool waits_ = false;  // the previous work is not done yet

  void* main_stack_pointer_ = nullptr;
  void* main_fake_stack_ = nullptr;
  void* main_tsan_ = nullptr;
  const void* main_bottom_ = nullptr;
  std::size_t main_bytes_ = 0;
  bool from_main_ = false;
};

// A kernel, and the one before it that runs while the first waits for it.
thread_local Executor executors[2];
thread_local Executor* active = nullptr;

void Executor::run(const HostLaunch& launch) {
  launch_ = &launch;
  waits_ = static_cast<bool>(launch.previous);
  threads_ = static_cast<int>(launch.threads);
  choice_ = Choice(launch.seed + 1);
  while (fibers_.size() < launch.threads) {
    fibers_.push_back(std::make_unique<Fiber>());
    fibers_.back()->stack_pointer = fresh_fiber(fibers_.back()->stack.top(), &Executor::entry);
  }
  const auto lanes = static_cast<std::size_t>(launch.lanes);
  warps_.resize((launch.threads + lanes - 1) / lanes);
  std::vector<std::uint64_t> order(std::uint64_t{launch.blocks[0]} * launch.blocks[1] *
                                   launch.blocks[2]);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[choice_.below(i)]);
  for (const std::uint64_t index : order) run_block(index);
  shared_.release();
}

void Executor::run_block(std::uint64_t index) {
  std::byte* shared = shared_.begin_block(launch_->shared_bytes, choice_.next());
  ready_.clear();
  for (int t = 0; t < threads_; ++t) {
    Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
    fiber.state = {t, threads_, launch_->lanes, {}, {}, shared, false, launch_->prefetches};
    std::uint64_t rest = index;
    for (int d = 0; d < 3; ++d) {
      fiber.state.blocks[d] = static_cast<int>(launch_->blocks[d]);
      fiber.state.block[d] = static_cast<int>(rest % launch_->blocks[d]);
      rest /= launch_->blocks[d];
    }
    fiber.status = Status::ready;
    ready_.push_back(t);
  }
  for (Warp& warp : warps_) warp.arrived = 0;
  in_block_ = 0;
  alive_ = threads_;
  unwinding_ = false;
  error_ = nullptr;
  main_tsan_ = this_fiber();
  from_main_ = true;
  go_to_next(&main_stack_pointer_, &main_fake_stack_);
  running = nullptr;
  if (error_) {
    shared_.release();
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
  if (!shared_.guards_intact())
    throw Error(ErrorCode::runtime, launch_->name,
                fmt::format("block {} wrote outside of its {} bytes of shared memory", index,
                            launch_->shared_bytes));
}

// Switches to a ready fiber, or to the launcher when none is left alive. Returns when the caller
// is chosen again.
void Executor::go_to_next(void** stack_pointer, void** fake_stack) {
  if (alive_ == 0) {
    announce_fiber(main_tsan_);
    before_switch(fake_stack, main_bottom_, main_bytes_);
    strata_fiber_switch(stack_pointer, main_stack_pointer_);
  } else {
    const std::size_t chosen = choice_.below(ready_.size());
    const int thread = std::exchange(ready_[chosen], ready_.back());
    ready_.pop_back();
    Fiber& next = *fibers_[static_cast<std::size_t>(thread)];
    if (&next.stack_pointer == stack_pointer) return;  // the one that runs already
    running = &next.state;
    announce_fiber(next.tsan);
    before_switch(fake_stack, next.stack.bottom(), FiberStack::bytes());
    strata_fiber_switch(stack_pointer, next.stack_pointer);
  }
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  after_switch(*fake_stack, &bottom, &bytes);
  if (std::exchange(from_main_, false)) {
    main_bottom_ = bottom;
    main_bytes_ = bytes;
  }
}

void Executor::entry() {
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  after_switch(nullptr, &bottom, &bytes);
  Executor& self = *active;
  if (std::exchange(self.from_main_, false)) {
    self.main_bottom_ = bottom;
    self.main_bytes_ = bytes;
  }
  for (;;) {
    self.run_thread();
    self.leave();
  }
}

void Executor::run_thread() {
  if (unwinding_) return;
  try {
    launch_->body();
    if (launch_->must_wait && !running->waited)
      fail("ends without wait_for_previous(), which an overlapped launch asks of each thread");
  } catch (const Unwound&) {  // another thread's error is known
  } catch (...) {
    stop(std::current_exception());
  }
}

// Everybody else goes on only to leave the kernel.
void Executor::stop(std::exception_ptr error) {
  if (!error_) error_ = std::move(error);
  if (unwinding_) return;
  unwinding_ = true;
  ready_.clear();
  for (int t = 0; t < threads_; ++t) {
    Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
    if (t != running->thread && fiber.status != Status::done) ready_.push_back(t);
  }
}

void Executor::leave() {
  Fiber& self = current();
  self.status = Status::done;
  --alive_;
  if (alive_ > 0 && ready_.empty())
    stop(std::make_exception_ptr(
        Error(ErrorCode::runtime, launch_->name, who_waits_where(), "each thread must get there")));
  go_to_next(&self.stack_pointer, &self.fake_stack);
}

void Executor::wait(Status status, Site site) {
  Fiber& self = current();
  self.status = status;
  self.site = site;
  if (ready_.empty())
    throw Error(ErrorCode::runtime, launch_->name, who_waits_where(), "each thread must get there");
  go_to_next(&self.stack_pointer, &self.fake_stack);
  if (unwinding_) throw Unwound();
}

// The last one to arrive goes on in random order too.
void Executor::rejoin() {
  Fiber& self = current();
  ready_.push_back(self.state.thread);
  go_to_next(&self.stack_pointer, &self.fake_stack);
  if (unwinding_) throw Unwound();
}

void Executor::release(Status status, int first, int last) {
  for (int t = first; t < last; ++t) {
    Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
    if (fiber.status != status) continue;
    fiber.status = Status::ready;
    ready_.push_back(t);
  }
}

// Threads [first, last) that wait already must do so at the same place.
void Executor::check_site(Status status, int first, int last, Site site) {
  for (int t = first; t < last; ++t) {
    const Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
    if (fiber.status != status) continue;
    if (fiber.site == site) return;
    fail(fmt::format("meets at {}:{} while thread {} is at {}:{}", base_name(site.file), site.line,
                     t, base_name(fiber.site.file), fiber.site.line));
  }
}

void Executor::meet_block(Site site) {
  check_site(Status::in_block, 0, threads_, site);
  if (++in_block_ == threads_) {
    in_block_ = 0;
    release(Status::in_block, 0, threads_);
    rejoin();
  } else {
    wait(Status::in_block, site);
  }
}

const std::byte* Executor::meet_warp(const void* given, std::size_t bytes, Site site) {
  const int lanes = launch_->lanes;
  const int index = running->thread / lanes;
  const int first = index * lanes;
  if (first + lanes > threads_)
    fail(fmt::format("needs a whole warp of {} lanes, but the block has {} threads", lanes,
                     threads_));
  Warp& warp = warps_[static_cast<std::size_t>(index)];
  check_site(Status::in_warp, first, first + lanes, site);
  auto& slots = warp.given[warp.half];
  if (bytes != 0)
    std::copy_n(static_cast<const std::byte*>(given), bytes,
                slots.data() + static_cast<std::size_t>(running->thread - first) * kSlotBytes);
  if (++warp.arrived == lanes) {
    warp.arrived = 0;
    warp.half ^= 1u;
    release(Status::in_warp, first, first + lanes);
    rejoin();
  } else {
    wait(Status::in_warp, site);
  }
  return slots.data();
}

// The first that goes on from there does what is left of the previous work.
void Executor::await_previous() {
  if (waits_) meet_block({"wait_for_previous()", 0});
  if (std::exchange(waits_, false)) launch_->previous();
  running->waited = true;
}

// "threads 0-3, 8 have ended; threads 4-7 are at reduce.h:12"
std::string Executor::who_waits_where() const {
  std::vector<std::pair<std::string, std::string>> groups;
  for (int t = 0; t < threads_;) {
    const Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
    const auto place = [](const Fiber& f) {
      return f.status == Status::done
                 ? std::string("have ended")
                 : fmt::format("are at {}:{}", base_name(f.site.file), f.site.line);
    };
    const std::string where = place(fiber);
    int end = t + 1;
    while (end < threads_ && place(*fibers_[static_cast<std::size_t>(end)]) == where) ++end;
    const std::string range =
        end - t == 1 ? fmt::format("{}", t) : fmt::format("{}-{}", t, end - 1);
    const auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == where; });
    if (group == groups.end())
      groups.emplace_back(where, range);
    else
      group->second += ", " + range;
    t = end;
  }
  std::string text = "divergent: ";
  for (const auto& [where, threads] : groups)
    text += fmt::format("{}threads {} {}", &where == &groups[0].first ? "" : "; ", threads, where);
  return text;
}

void Executor::fail(const std::string& what) {
  const ThreadState& state = *running;
  throw Error(ErrorCode::runtime, launch_->name,
              fmt::format("block ({}, {}, {}), thread {} {}", state.block[0], state.block[1],
                          state.block[2], state.thread, what));
}

}  // namespace

void run_blocks(const HostLaunch& launch) {
  struct Nested {
    Executor* outer = active;
    ThreadState* thread = running;
    Nested() { active = &executors[outer == nullptr ? 0 : 1]; }
    ~Nested() {
      active = outer;
      running = thread;
    }
  };
  const Nested nested;
  active->run(launch);
}

void await_previous() { active->await_previous(); }

void meet_block(const char* file, int line) { active->meet_block({file, line}); }

const std::byte* meet_warp(const void* given, std::size_t bytes, const char* file, int line) {
  return active->meet_warp(given, bytes, {file, line});
}

void fail_thread(const std::string& what) { active->fail(what); }

}  // namespace strata::simt_host
