#include "backends/sim/virtual_clock.h"

#include <algorithm>

namespace strata::sim {

VirtualClock::Line VirtualClock::open(StreamRole role) {
  lines_.push_back({});
  lines_.back().role = role;
  lines_.back().now_ns = host_ns_;
  return lines_.size() - 1;
}

void VirtualClock::work(Line line, Engine engine, std::int64_t duration_ns, std::uint64_t bytes) {
  lines_[line].pieces.push_back({host_ns_, duration_ns, engine, bytes, 0, 0});
}

void VirtualClock::instant(Line line) { lines_[line].pieces.push_back({host_ns_, 0, {}, 0, 0, 0}); }

void VirtualClock::wait(Line line, Line other, std::uint64_t ticket) {
  lines_[line].pieces.push_back({host_ns_, 0, {}, 0, other, ticket});
}

// Empty when the piece has not begun. What was forgotten ended before anything that still waits.
std::optional<std::int64_t> VirtualClock::end_of(Line line, std::uint64_t ticket) const {
  const TimeLine& other = lines_[line];
  if (ticket <= other.forgotten) return 0;
  const std::uint64_t at = ticket - other.forgotten - 1;
  if (at >= other.ends.size()) return std::nullopt;
  return other.ends[at];
}

std::optional<VirtualClock::Next> VirtualClock::next_of(Line line) const {
  const TimeLine& own = lines_[line];
  if (own.pieces.empty()) return std::nullopt;
  const Piece& piece = own.pieces.front();
  Next next{0, piece.engine.has_value(), std::max(own.now_ns, piece.issued_ns), line};
  next.start_ns = next.ready_ns;
  if (piece.engine) {
    next.start_ns = std::max(next.ready_ns, free_ns_[static_cast<std::size_t>(*piece.engine)]);
  } else if (piece.ticket > 0) {
    const std::optional<std::int64_t> end = end_of(piece.other, piece.ticket);
    if (!end) return std::nullopt;
    next.start_ns = std::max(next.ready_ns, *end);
  }
  return next;
}

// The earliest of all: nothing that begins later can come before it. At the same moment waits end
// first, as what they let through may be ready earlier than others.
std::optional<VirtualClock::Next> VirtualClock::next() const {
  std::optional<Next> earliest;
  for (Line line = 0; line < lines_.size(); ++line) {
    const std::optional<Next> candidate = next_of(line);
    if (candidate && (!earliest || *candidate < *earliest)) earliest = candidate;
  }
  return earliest;
}

void VirtualClock::count_stall(Line line, const Piece& piece, std::int64_t ready_ns,
                               std::int64_t start_ns) {
  const StreamRole waits = lines_[line].role;
  const StreamRole awaited = lines_[piece.other].role;
  const std::int64_t stall_ns = start_ns - ready_ns;
  if (waits == StreamRole::compute && awaited == StreamRole::upload)
    seen_.upload_stall_ns += stall_ns;
  if (waits == StreamRole::upload && awaited == StreamRole::compute)
    seen_.slot_stall_ns += stall_ns;
}

void VirtualClock::begin(const Next& next) {
  TimeLine& line = lines_[next.line];
  const Piece piece = line.pieces.front();
  line.pieces.pop_front();
  line.now_ns = next.start_ns + piece.duration_ns;
  line.ends.push_back(line.now_ns);
  if (piece.ticket > 0) count_stall(next.line, piece, next.ready_ns, next.start_ns);
  if (!piece.engine) return;
  const auto engine = static_cast<std::size_t>(*piece.engine);
  free_ns_[engine] = line.now_ns;
  seen_.busy_ns[engine] += piece.duration_ns;
  seen_.bytes[engine] += piece.bytes;
}

// Begins all that begins until the host's now.
void VirtualClock::advance() {
  for (auto first = next(); first && first->start_ns <= host_ns_; first = next()) begin(*first);
  forget_the_past();
}

// Whoever waits still has not begun at the host's now: ends before it change nothing any more.
void VirtualClock::forget_the_past() {
  for (TimeLine& line : lines_) {
    while (!line.ends.empty() && line.ends.front() <= host_ns_) {
      line.ends.pop_front();
      ++line.forgotten;
    }
  }
}

bool VirtualClock::reached(Line line, std::uint64_t ticket) {
  advance();
  const std::optional<std::int64_t> end = end_of(line, ticket);
  const bool is = end && *end <= host_ns_;
  if (!is) spend(poll_ns_);
  return is;
}

void VirtualClock::await(Line line, std::uint64_t ticket) {
  std::optional<std::int64_t> end = end_of(line, ticket);
  for (; !end; end = end_of(line, ticket)) begin(*next());
  host_ns_ = std::max(host_ns_, *end);
  advance();
}

void VirtualClock::synchronize(Line line) {
  while (!lines_[line].pieces.empty()) begin(*next());
  host_ns_ = std::max(host_ns_, lines_[line].now_ns);
  advance();
}

std::int64_t VirtualClock::line_ns(Line line) {
  advance();
  return lines_[line].now_ns;
}

ClockReading VirtualClock::read() {
  advance();
  ClockReading reading = seen_;
  reading.host_ns = host_ns_;
  for (std::size_t engine = 0; engine < kEngines; ++engine)
    reading.busy_ns[engine] -= std::max<std::int64_t>(0, free_ns_[engine] - host_ns_);
  return reading;
}

}  // namespace strata::sim
