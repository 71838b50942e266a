// The virtual clock of simulated devices: pipelines whose times are known in closed form, and a
// simulation that goes through time nanosecond by nanosecond.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "backends/sim/virtual_clock.h"

namespace strata::test {
namespace {

using sim::ClockReading;
using sim::Engine;
using sim::VirtualClock;
using Line = VirtualClock::Line;

TEST(VirtualClock, ALineDoesOneThingAfterTheOther) {
  VirtualClock clock;
  const Line line = clock.open(StreamRole::compute);
  clock.work(line, Engine::compute, 100);
  clock.work(line, Engine::compute, 50);
  EXPECT_EQ(clock.host_ns(), 0);  // enqueuing takes the host no time
  clock.synchronize(line);
  EXPECT_EQ(clock.host_ns(), 150);
  clock.spend(1000);
  clock.work(line, Engine::compute, 10);  // cannot begin before it was enqueued
  clock.synchronize(line);
  EXPECT_EQ(clock.host_ns(), 1160);
  EXPECT_EQ(clock.read().busy(Engine::compute), 160);
}

// Copies of `copy` ns into `slots` slots in turn, each read by a kernel of `kernel` ns.
struct Pipeline {
  Pipeline(int units, int slots, std::int64_t copy, std::int64_t kernel) {
    const Line compute = clock.open(StreamRole::compute);
    const Line upload = clock.open(StreamRole::upload);
    std::vector<std::uint64_t> freed;
    std::uint64_t upload_tick = 0;
    std::uint64_t compute_tick = 0;
    for (int unit = 0; unit < units; ++unit) {
      if (unit >= slots) {
        clock.wait(upload, compute, freed[static_cast<std::size_t>(unit - slots)]);
        ++upload_tick;
      }
      clock.work(upload, Engine::upload, copy, 1);
      clock.wait(compute, upload, ++upload_tick);
      clock.work(compute, Engine::compute, kernel);
      freed.push_back(compute_tick += 2);
    }
    clock.synchronize(compute);
    reading = clock.read();
  }
  VirtualClock clock;
  ClockReading reading;
};

TEST(VirtualClock, APipelineTakesAsLongAsItsSlowerLink) {
  const Pipeline copies(10, 2, 100, 70);
  EXPECT_EQ(copies.reading.host_ns, 10 * 100 + 70);
  EXPECT_EQ(copies.reading.upload_stall_ns, 100 + 9 * 30);
  EXPECT_EQ(copies.reading.busy(Engine::upload), 1000);
  EXPECT_EQ(copies.reading.busy(Engine::compute), 700);
  EXPECT_EQ(copies.reading.bytes[1], 10u);

  const Pipeline kernels(10, 2, 70, 100);
  EXPECT_EQ(kernels.reading.host_ns, 70 + 10 * 100);
  EXPECT_EQ(kernels.reading.upload_stall_ns, 70);  // only until the first is there
  EXPECT_EQ(kernels.reading.slot_stall_ns, 30 + 7 * 30);

  const Pipeline single(10, 1, 100, 70);  // one slot: nothing overlaps
  EXPECT_EQ(single.reading.host_ns, 10 * 170);
}

// A copy that still waits for an event does not hold up one that is ready.
TEST(VirtualClock, AnEngineServesWhoIsReadyFirst) {
  VirtualClock clock;
  const Line compute = clock.open(StreamRole::compute);
  const Line first = clock.open(StreamRole::upload);
  const Line second = clock.open(StreamRole::upload);
  clock.work(compute, Engine::compute, 500);
  clock.wait(first, compute, 1);
  clock.work(first, Engine::upload, 100);
  clock.work(second, Engine::upload, 50);
  clock.synchronize(second);
  EXPECT_EQ(clock.host_ns(), 50);
  clock.synchronize(first);
  EXPECT_EQ(clock.host_ns(), 600);
}

// What is enqueued later can be ready earlier than what is in the queue.
TEST(VirtualClock, LaterWorkFindsItsPlace) {
  VirtualClock clock;
  const Line compute = clock.open(StreamRole::compute);
  const Line weights = clock.open(StreamRole::upload);
  const Line other = clock.open(StreamRole::upload);
  clock.work(weights, Engine::upload, 100);
  clock.work(weights, Engine::upload, 100);  // ready at 100
  clock.work(compute, Engine::compute, 50);
  clock.synchronize(compute);
  clock.work(other, Engine::upload, 7);  // ready at 50, has the engine from 100 to 107
  clock.synchronize(other);
  EXPECT_EQ(clock.host_ns(), 107);
  clock.synchronize(weights);
  EXPECT_EQ(clock.host_ns(), 207);
}

TEST(VirtualClock, DirectionsAndKernelsRunSideBySide) {
  VirtualClock clock;
  const Line up = clock.open(StreamRole::upload);
  const Line down = clock.open(StreamRole::download);
  const Line compute = clock.open(StreamRole::compute);
  clock.work(up, Engine::upload, 90);
  clock.work(down, Engine::download, 80);
  clock.work(compute, Engine::compute, 70);
  for (const Line line : {up, down, compute}) clock.synchronize(line);
  EXPECT_EQ(clock.host_ns(), 90);
}

TEST(VirtualClock, AskingAgainAndAgainEnds) {
  VirtualClock clock(10);
  const Line line = clock.open(StreamRole::upload);
  clock.work(line, Engine::upload, 95);
  int asked = 1;
  while (!clock.reached(line, 1)) ++asked;
  EXPECT_EQ(asked, 11);
  EXPECT_EQ(clock.host_ns(), 100);
  EXPECT_TRUE(clock.reached(line, 1));
  EXPECT_EQ(clock.host_ns(), 100);
}

TEST(VirtualClock, AwaitsAPieceAndNotWhatFollows) {
  VirtualClock clock;
  const Line line = clock.open(StreamRole::upload);
  for (int i = 0; i < 3; ++i) clock.work(line, Engine::upload, 100);
  clock.await(line, 2);
  EXPECT_EQ(clock.host_ns(), 200);
  clock.await(line, 1);
  EXPECT_EQ(clock.host_ns(), 200);
  clock.synchronize(line);
  EXPECT_EQ(clock.host_ns(), 300);
}

TEST(VirtualClock, ReadsWhatWasDoneUntilNow) {
  VirtualClock clock;
  const Line compute = clock.open(StreamRole::compute);
  const Line upload = clock.open(StreamRole::upload);
  for (int i = 0; i < 3; ++i) clock.work(upload, Engine::upload, 100, 1000);
  clock.work(compute, Engine::compute, 130);
  clock.synchronize(compute);
  const ClockReading reading = clock.read();
  EXPECT_EQ(reading.host_ns, 130);
  EXPECT_EQ(reading.busy(Engine::upload), 130);
  EXPECT_EQ(reading.bytes[1], 2000u);  // the second has begun
  EXPECT_EQ(clock.line_ns(upload), 200);
}

// Goes through time nanosecond by nanosecond: at each, waits that can end do, then each free engine
// takes whoever has been ready for longest.
class Stepper {
 public:
  void open() { lines_.emplace_back(); }
  void work(std::size_t line, std::size_t engine, std::int64_t duration) {
    lines_[line].pieces.push_back({now_, duration, static_cast<int>(engine), 0, 0});
  }
  void wait(std::size_t line, std::size_t other, std::uint64_t ticket) {
    lines_[line].pieces.push_back({now_, 0, -1, other, ticket});
  }
  void spend(std::int64_t ns) {
    for (; ns > 0; --ns) tick();
  }
  void synchronize(std::size_t line) {
    for (act(); lines_[line].done < lines_[line].pieces.size(); act()) ++now_;
  }
  std::int64_t now() const { return now_; }

 private:
  struct Piece {
    std::int64_t issued, duration;
    int engine;
    std::size_t other;
    std::uint64_t ticket;
  };
  struct StepLine {
    std::vector<Piece> pieces;
    std::size_t done = 0;
    bool running = false;
    std::int64_t until = 0;  ///< end of what runs, or of what was last done
  };
  void tick() {
    act();
    ++now_;
  }
  void act() {
    for (bool changed = true; changed;) {
      changed = false;
      for (StepLine& line : lines_) changed = end_waits_and_work(line) || changed;
    }
    for (int engine = 0; engine < 3; ++engine) start(engine);
  }
  bool end_waits_and_work(StepLine& line) {
    if (line.done == line.pieces.size()) return false;
    const Piece& piece = line.pieces[line.done];
    if (line.running ? line.until > now_
                     : piece.engine >= 0 || lines_[piece.other].done < piece.ticket)
      return false;
    if (line.running) engine_busy_[piece.engine] = false;
    line.until = now_;
    line.running = false;
    ++line.done;
    return true;
  }
  void start(int engine) {
    if (engine_busy_[engine]) return;
    StepLine* first = nullptr;
    std::int64_t since = 0;
    for (StepLine& line : lines_) {
      if (line.running || line.done == line.pieces.size()) continue;
      const Piece& piece = line.pieces[line.done];
      if (piece.engine != engine) continue;
      const std::int64_t ready = std::max(piece.issued, line.until);
      if (first != nullptr && ready >= since) continue;
      first = &line;
      since = ready;
    }
    if (first == nullptr) return;
    first->running = engine_busy_[engine] = true;
    first->until = now_ + first->pieces[first->done].duration;
  }

  std::vector<StepLine> lines_;
  bool engine_busy_[3] = {};
  std::int64_t now_ = 0;
};

// Random lines, work and waits; the host sleeps and waits in between.
TEST(VirtualClock, AgreesWithGoingThroughEveryNanosecond) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    VirtualClock clock;
    Stepper stepper;
    const std::size_t lines = 2 + random() % 4;
    std::vector<std::uint64_t> ticks(lines);
    for (std::size_t line = 0; line < lines; ++line) {
      clock.open(line % 2 == 0 ? StreamRole::compute : StreamRole::upload);
      stepper.open();
    }
    for (int step = 0; step < 120; ++step) {
      const std::size_t line = random() % lines;
      const std::size_t other = random() % lines;
      const std::uint64_t ticket = ticks[other] - random() % 3;
      const std::uint64_t what = random() % 12;
      if (what < 6) {
        const std::size_t engine = random() % 3;
        const auto duration = static_cast<std::int64_t>(1 + random() % 20);
        clock.work(line, static_cast<Engine>(engine), duration);
        stepper.work(line, engine, duration);
        ++ticks[line];
      } else if (what < 10) {
        if (other == line || ticket == 0 || ticket > ticks[other]) continue;
        clock.wait(line, other, ticket);
        stepper.wait(line, other, ticket);
        ++ticks[line];
      } else if (what < 11) {
        const auto slept = static_cast<std::int64_t>(random() % 15);
        clock.spend(slept);
        stepper.spend(slept);
      } else {
        clock.synchronize(line);
        stepper.synchronize(line);
        EXPECT_EQ(clock.host_ns(), stepper.now()) << "seed " << seed << " step " << step;
      }
    }
    for (std::size_t line = 0; line < lines; ++line) {
      clock.synchronize(line);
      stepper.synchronize(line);
      EXPECT_EQ(clock.host_ns(), stepper.now()) << "seed " << seed << " line " << line;
    }
  }
}

}  // namespace
}  // namespace strata::test
