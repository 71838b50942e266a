#include "backends/sim/sim_stream.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "runtime/core/error.h"

namespace strata::sim {

SimStream::SimStream(SimDevice& device, StreamRole role)
    : device_(device),
      inside_(device.inside().open_stream(role)),
      order_(device.options().seed + static_cast<std::uint64_t>(role)) {}

SimStream::~SimStream() {
  while (!work_.empty()) do_one();
}

void SimStream::enqueue(std::function<void()> work) {
  work_.push_back(std::move(work));
  ++enqueued_;
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

void SimStream::copy(BufferSpan dst, BufferSpan src) {
  // Pageable memory is read at once, as drivers stage it; pinned memory when its turn has come.
  if (src.kind == MemoryKind::host) {
    auto staged = std::make_shared<std::vector<std::byte>>(src.data, src.data + src.bytes);
    return enqueue([this, dst, staged] {
      inside_->copy(dst, {staged->data(), staged->size(), MemoryKind::host});
      inside_->synchronize();
    });
  }
  enqueue([this, dst, src] {
    inside_->copy(dst, src);
    inside_->synchronize();
  });
}

void SimStream::fill(BufferSpan span, std::byte value) {
  enqueue([this, span, value] {
    inside_->fill(span, value);
    inside_->synchronize();
  });
}

void SimStream::host_task(HostTask task) {
  enqueue([task] { task.run(task.context); });
}

Event SimStream::record() { return {this, enqueued_}; }

void SimStream::wait(const Event& event) {
  if (event.stream == this) return;
  // All streams are the caller's: what the other has left until then is done when this one is
  // there.
  auto* const other = const_cast<SimStream*>(static_cast<const SimStream*>(event.stream));
  enqueue([other, ticket = event.ticket] { other->do_until(ticket); });
}

bool SimStream::reached(std::uint64_t ticket) const { return done_ >= ticket; }

void SimStream::synchronize() {
  do_until(enqueued_);
  if (error_) std::rethrow_exception(error_);
}

void SimStream::run(std::shared_ptr<const PreparedOp> op, const Operands& operands,
                    Workspace workspace) {
  struct Launch {
    std::vector<TensorView> in, inout, out;
  };
  auto launch = std::make_shared<Launch>(Launch{{operands.in.begin(), operands.in.end()},
                                                {operands.inout.begin(), operands.inout.end()},
                                                {operands.out.begin(), operands.out.end()}});
  enqueue([this, op = std::move(op), launch, workspace] {
    Faults& faults = device_.faults();
    const std::int64_t failing = faults.failing_op.load();
    const std::int64_t number = faults.ops.fetch_add(1);
    if (failing >= 0 && number >= failing)
      throw Error(ErrorCode::runtime, to_string(device_.info().id),
                  fmt::format("op {} ({}) failed: a fault that was asked for", number,
                              op->desc.info().name));
    op->run(*inside_, *op, {launch->in, launch->inout, launch->out}, workspace);
    inside_->synchronize();
  });
}

}  // namespace strata::sim
