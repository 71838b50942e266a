#include "backends/sim/sim_stream.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "runtime/core/error.h"

namespace strata::sim {
namespace {

// Counts what is done, and fails from the number on that was asked for.
void count(std::atomic<std::int64_t>& counter, const std::atomic<std::int64_t>& failing,
           const Device& device, std::string_view what) {
  const std::int64_t number = counter.fetch_add(1);
  const std::int64_t first = failing.load();
  if (first >= 0 && number >= first)
    throw Error(ErrorCode::runtime, to_string(device.info().id),
                fmt::format("{} {} failed: a fault that was asked for", what, number));
}

}  // namespace

SimStream::SimStream(SimDevice& device, StreamRole role)
    : device_(device),
      clock_(device.clock()),
      line_(clock_ == nullptr ? 0 : clock_->open(role)),
      inside_(device.inside().open_stream(role)),
      order_(device.options().seed + static_cast<std::uint64_t>(role)) {}

SimStream::~SimStream() {
  while (!work_.empty()) do_one();
}

// Whoever calls this has put a piece on the time line as well: tickets count both.
void SimStream::enqueue(std::function<void()> work) {
  work_.push_back(std::move(work));
  ++enqueued_;
  do_some();
}

void SimStream::do_some() {
  if (!device_.options().late) return do_until(enqueued_);
  for (std::uint64_t some = order_() % 3; some > 0 && !work_.empty(); --some) do_one();
}

// A failure stays: what comes after it is dropped.
void SimStream::do_one() {
  const std::function<void()> work = std::move(work_.front());
  work_.pop_front();
  ++done_;
  if (error_) return;
  try {
    work();
  } catch (...) {
    error_ = std::current_exception();
  }
}

void SimStream::do_until(std::uint64_t ticket) {
  while (done_ < ticket && !work_.empty()) do_one();
}

// By the engine of its direction; within the device by its kernels.
void SimStream::time_copy(const BufferSpan& dst, const BufferSpan& src) {
  if (clock_ == nullptr) return;
  CostModel& costs = device_.costs();
  const bool to_device = dst.kind == MemoryKind::device;
  if (src.kind == MemoryKind::device && to_device)
    clock_->work(line_, Engine::compute, costs.kernel_ns(2 * src.bytes, 0));
  else if (to_device)
    clock_->work(line_, Engine::upload, costs.upload_ns(src.bytes), src.bytes);
  else
    clock_->work(line_, Engine::download, costs.download_ns(src.bytes), src.bytes);
}

void SimStream::copy_now(const BufferSpan& dst, const BufferSpan& src) {
  count(device_.faults().copies, device_.faults().failing_copy, device_, "copy");
  const PoisonedRanges::Opened opened(device_.poisoned(), {dst.data, src.bytes});
  inside_->copy(dst, src);
  inside_->synchronize();
}

void SimStream::copy(BufferSpan dst, BufferSpan src) {
  time_copy(dst, src);
  // Pageable memory is read at once, as drivers stage it; pinned memory when its turn has come.
  if (src.kind == MemoryKind::host) {
    auto staged = std::make_shared<std::vector<std::byte>>(src.data, src.data + src.bytes);
    return enqueue(
        [this, dst, staged] { copy_now(dst, {staged->data(), staged->size(), MemoryKind::host}); });
  }
  enqueue([this, dst, src] { copy_now(dst, src); });
}

void SimStream::fill(BufferSpan span, std::byte value) {
  if (clock_ != nullptr)
    clock_->work(line_, Engine::compute, device_.costs().kernel_ns(span.bytes, 0));
  enqueue([this, span, value] {
    const PoisonedRanges::Opened opened(device_.poisoned(), {span.data, span.bytes});
    inside_->fill(span, value);
    inside_->synchronize();
  });
}

void SimStream::host_task(HostTask task) {
  if (clock_ != nullptr) clock_->instant(line_);
  enqueue([task] { task.run(task.context); });
}

Event SimStream::record() { return {this, enqueued_}; }

void SimStream::wait(const Event& event) {
  if (event.stream == this) return;
  // All streams are the caller's: what the other has left until then is done when this one is
  // there. What failed on a stream fails on those that wait for it, as a lost device would.
  auto* const other = const_cast<SimStream*>(static_cast<const SimStream*>(event.stream));
  if (clock_ != nullptr) clock_->wait(line_, other->line_, event.ticket);
  enqueue([other, ticket = event.ticket] {
    other->do_until(ticket);
    if (other->error_) std::rethrow_exception(other->error_);
  });
}

// Time goes on while someone asks: a loop that waits by asking ends.
bool SimStream::reached(std::uint64_t ticket) const {
  auto& self = const_cast<SimStream&>(*this);
  if (clock_ == nullptr) {
    self.do_some();
    return done_ >= ticket;
  }
  const bool is = clock_->reached(line_, ticket);
  if (is) self.do_until(ticket);
  return is;
}

void SimStream::await(std::uint64_t ticket) {
  if (clock_ != nullptr) clock_->await(line_, ticket);
  do_until(ticket);
  if (error_) std::rethrow_exception(error_);
}

void SimStream::synchronize() {
  if (clock_ != nullptr) clock_->synchronize(line_);
  do_until(enqueued_);
  if (error_) std::rethrow_exception(error_);
}

std::int64_t SimStream::busy_until_ns() const {
  return clock_ == nullptr ? 0 : clock_->line_ns(line_);
}

void SimStream::run(std::shared_ptr<const PreparedOp> op, const Operands& operands,
                    Workspace workspace) {
  struct Launch {
    std::vector<TensorView> in, inout, out;
  };
  if (clock_ != nullptr)
    clock_->work(line_, Engine::compute, device_.costs().op_ns(op->desc, operands));
  auto launch = std::make_shared<Launch>(Launch{{operands.in.begin(), operands.in.end()},
                                                {operands.inout.begin(), operands.inout.end()},
                                                {operands.out.begin(), operands.out.end()}});
  enqueue([this, op = std::move(op), launch, workspace] {
    run_now(*op, {launch->in, launch->inout, launch->out}, workspace);
  });
}

void SimStream::run_now(const PreparedOp& op, const Operands& operands, Workspace workspace) {
  count(device_.faults().ops, device_.faults().failing_op, device_,
        fmt::format("op {}", op.desc.info().name));
  op.run(*inside_, op, operands, workspace);
  inside_->synchronize();
}

}  // namespace strata::sim
