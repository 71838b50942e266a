#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "runtime/core/device.h"

namespace strata::sim {

/// What does the work of all streams of a device, one piece at a time each.
enum class Engine : std::uint8_t { compute, upload, download };
inline constexpr std::size_t kEngines = 3;

/// What the clock has seen until the host's now. All times in virtual nanoseconds.
struct ClockReading {
  std::int64_t host_ns = 0;  ///< now
  std::array<std::int64_t, kEngines> busy_ns{};
  std::array<std::uint64_t, kEngines> bytes{};  ///< of copies, begun ones counted whole
  std::int64_t upload_stall_ns = 0;             ///< compute streams have waited for upload streams
  std::int64_t slot_stall_ns = 0;               ///< upload streams have waited for compute streams

  std::int64_t busy(Engine engine) const { return busy_ns[static_cast<std::size_t>(engine)]; }
};

/// The time lines of a device's streams and of the host that feeds them, as a simulation of
/// discrete events. Host work takes no time unless it says so (spend()); a stream's work begins
/// when it was enqueued, what is before it in the stream is done, and its engine is free; of two
/// that want an engine the one that was ready first gets it. What happens is worked out only as far
/// as the host's now, so that later work still finds its place in the queue. Independent of wall
/// time; the same calls give the same numbers. Used by one thread at a time.
class VirtualClock {
 public:
  using Line = std::size_t;

  /// `poll_ns`: what a question that was answered with "not yet" costs the host, so that a loop
  /// that waits by asking gets on.
  explicit VirtualClock(std::int64_t poll_ns = 1000) : poll_ns_(poll_ns) {}

  /// A stream's time line, which begins now.
  Line open(StreamRole role);

  /// Enqueues something on a line. Each is one tick of the line's tickets, counted from 1.
  void work(Line line, Engine engine, std::int64_t duration_ns, std::uint64_t bytes = 0);
  void instant(Line line);  ///< takes no time and no engine
  void wait(Line line, Line other, std::uint64_t ticket);

  /// Whether the line's first `ticket` pieces are done now.
  bool reached(Line line, std::uint64_t ticket);
  /// The host waits until the line's first `ticket` pieces are done.
  void await(Line line, std::uint64_t ticket);
  /// The host waits until the line has nothing left.
  void synchronize(Line line);
  /// The host works, or sleeps, so long.
  void spend(std::int64_t ns) { host_ns_ += ns; }

  std::int64_t host_ns() const { return host_ns_; }
  /// Until when the line is known to be busy: the end of the last piece that has begun.
  std::int64_t line_ns(Line line);
  ClockReading read();

 private:
  struct Piece {
    std::int64_t issued_ns = 0;
    std::int64_t duration_ns = 0;
    std::optional<Engine> engine;  ///< none: instant, or a wait
    std::uint64_t bytes = 0;
    Line other = 0;  ///< of a wait, for its `ticket`; ticket 0: none
    std::uint64_t ticket = 0;
  };
  struct TimeLine {
    StreamRole role = StreamRole::compute;
    std::deque<Piece> pieces;       ///< that have not begun
    std::deque<std::int64_t> ends;  ///< of the pieces before them, but for `forgotten` early ones
    std::uint64_t forgotten = 0;
    std::int64_t now_ns = 0;
  };
  struct Next {
    std::int64_t start_ns = 0;
    bool takes_time = false;
    std::int64_t ready_ns = 0;
    Line line = 0;
    friend auto operator<=>(const Next&, const Next&) = default;
  };

  std::optional<std::int64_t> end_of(Line line, std::uint64_t ticket) const;
  std::optional<Next> next_of(Line line) const;
  std::optional<Next> next() const;
  void begin(const Next& next);
  void count_stall(Line line, const Piece& piece, std::int64_t ready_ns, std::int64_t start_ns);
  void advance();
  void forget_the_past();

  std::int64_t poll_ns_;
  std::int64_t host_ns_ = 0;
  std::vector<TimeLine> lines_;
  std::array<std::int64_t, kEngines> free_ns_{};  ///< when each engine is free again
  ClockReading seen_;
};

}  // namespace strata::sim
