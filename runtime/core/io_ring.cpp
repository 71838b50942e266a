#include "runtime/core/io_ring.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "runtime/core/error.h"

#ifdef STRATA_HAS_URING

#include <liburing.h>
#include <sys/uio.h>

namespace strata {

struct IoRing::State {
  io_uring ring{};
  bool open = false;
  bool registered = false;
  ~State() {
    if (open) io_uring_queue_exit(&ring);
  }
};

namespace {

std::string system_text(int error) { return std::system_category().message(error); }

}  // namespace

IoRing::IoRing() : state_(std::make_unique<State>()) {}
IoRing::~IoRing() = default;

std::unique_ptr<IoRing> IoRing::open(unsigned depth, std::string& refusal) {
  std::unique_ptr<IoRing> result(new IoRing());
  const int error = io_uring_queue_init(depth, &result->state_->ring, 0);
  if (error < 0) {
    refusal = fmt::format("io_uring is refused: {}", system_text(-error));
    return nullptr;
  }
  result->state_->open = true;
  result->depth_ = depth;
  return result;
}

bool IoRing::register_buffers(std::span<const std::span<std::byte>> buffers) {
  if (state_->registered) io_uring_unregister_buffers(&state_->ring);
  state_->registered = false;
  std::vector<iovec> vectors;
  vectors.reserve(buffers.size());
  for (const std::span<std::byte> buffer : buffers)
    vectors.push_back({.iov_base = buffer.data(), .iov_len = buffer.size()});
  if (vectors.empty()) return false;
  state_->registered = io_uring_register_buffers(&state_->ring, vectors.data(),
                                                 static_cast<unsigned>(vectors.size())) == 0;
  return state_->registered;
}

void IoRing::queue(const Read& read) {
  io_uring_sqe* const entry = io_uring_get_sqe(&state_->ring);
  if (entry == nullptr || under_way_ == depth_)
    throw Error(ErrorCode::runtime, "io_uring",
                fmt::format("more than {} reads are queued", depth_));
  if (read.buffer >= 0 && state_->registered)
    io_uring_prep_read_fixed(entry, read.descriptor, read.to, read.bytes, read.offset, read.buffer);
  else
    io_uring_prep_read(entry, read.descriptor, read.to, read.bytes, read.offset);
  io_uring_sqe_set_data64(entry, read.tag);
  ++under_way_;
}

std::optional<IoRing::Done> IoRing::wait() {
  io_uring_cqe* entry = nullptr;
  bool refused = false;
  for (;;) {
    const bool ended = io_uring_peek_cqe(&state_->ring, &entry) == 0;
    if (under_way_ > submitted_ && !refused) {
      const int taken =
          ended ? io_uring_submit(&state_->ring) : io_uring_submit_and_wait(&state_->ring, 1);
      if (taken > 0) submitted_ += static_cast<unsigned>(taken);
      // Reads that the system has are waited for whatever it says of new ones: they write to
      // memory.
      refused = taken < 0 && taken != -EINTR && taken != -EAGAIN && taken != -EBUSY;
    } else if (!ended && submitted_ > 0) {
      io_uring_wait_cqe(&state_->ring, &entry);
    }
    if (ended || io_uring_peek_cqe(&state_->ring, &entry) == 0) break;
    if (refused && submitted_ == 0) return std::nullopt;
  }
  const Done done{io_uring_cqe_get_data64(entry), entry->res};
  io_uring_cqe_seen(&state_->ring, entry);
  --under_way_;
  --submitted_;
  return done;
}

}  // namespace strata

#else

namespace strata {

struct IoRing::State {};
IoRing::IoRing() = default;
IoRing::~IoRing() = default;

std::unique_ptr<IoRing> IoRing::open(unsigned /*depth*/, std::string& refusal) {
  refusal = "this build has no liburing";
  return nullptr;
}
bool IoRing::register_buffers(std::span<const std::span<std::byte>> /*buffers*/) { return false; }
void IoRing::queue(const Read& /*read*/) {}
std::optional<IoRing::Done> IoRing::wait() { return std::nullopt; }

}  // namespace strata

#endif
