#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace strata {

/// A queue of reads that the system works on side by side (io_uring). One thread at a time.
class IoRing {
 public:
  struct Read {
    int descriptor = -1;
    std::byte* to = nullptr;
    std::uint32_t bytes = 0;
    std::uint64_t offset = 0;
    int buffer = -1;        ///< number of the registered buffer that `to` lies in; -1 = none
    std::uint64_t tag = 0;  ///< comes back with the result
  };
  struct Done {
    std::uint64_t tag = 0;
    std::int32_t result = 0;  ///< bytes read, or minus the error number
  };

  /// A queue for `depth` reads. Null where there is no io_uring for us (an old kernel, a sandbox, a
  /// build without liburing), with the reason in `refusal`.
  static std::unique_ptr<IoRing> open(unsigned depth, std::string& refusal);
  ~IoRing();
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;

  /// Registers memory, in place of what was registered before, so that reads into it need not find
  /// its pages each time. False when the system refuses (limits on locked memory, memory of a kind
  /// that cannot be registered); reads without a buffer number work all the same.
  bool register_buffers(std::span<const std::span<std::byte>> buffers);
  /// Takes the read into the queue, for submit(). At most `depth` reads are queued or under way.
  void queue(const Read& read);
  /// Hands what is queued to the system and waits until a read has ended. Empty when the system
  /// takes no reads any more: then nothing is under way, and the queue is of no more use.
  std::optional<Done> wait();
  unsigned under_way() const { return under_way_; }
  unsigned depth() const { return depth_; }

 private:
  struct State;
  IoRing();
  std::unique_ptr<State> state_;
  unsigned depth_ = 0;
  unsigned under_way_ = 0;  // queued, or with the system
  unsigned submitted_ = 0;  // with the system
};

}  // namespace strata
