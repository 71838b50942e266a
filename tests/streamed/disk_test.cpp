// Three stages on the virtual clock: units come from the disk, are copied to the device and
// computed with. Exact, whatever the threads that really read are doing.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/streamed/rig.h"

namespace strata::test {
namespace {

// A link of 1 GB/s between a disk and a device that are so many times as fast.
Rig disk_rig(double disk, double device, double jitter = 0) {
  Rig rig{speeds_of(device, jitter)};
  rig.disk = {disk * 1e9, 2000, jitter};
  return rig;
}

struct Binding {
  double disk;
  double device;
  double Measured::* slowest;
};

const Binding kBindings[] = {{0.3, 20, &Measured::disk_ns},
                             {4, 20, &Measured::upload_ns},
                             {4, 0.2, &Measured::compute_ns},
                             {0.3, 0.5, &Measured::disk_ns}};

TEST(StreamedDisk, TakesAsLongAsTheSlowestLink) {
  for (const Binding& binding : kBindings) {
    for (const int slots : {2, 3, 4}) {
      Rig rig = disk_rig(binding.disk, binding.device);
      rig.slots = slots;
      const Measured m = measure(rig, Tier::streamed);
      EXPECT_EQ(m.slower_link(), m.*binding.slowest) << text_of(m);
      EXPECT_LE(m.token_ns, 1.05 * m.slower_link()) << slots << " slots: " << text_of(m);
      EXPECT_GE(m.token_ns, 0.999 * m.slower_link()) << slots << " slots: " << text_of(m);
    }
  }
}

// While a token is chosen the disk fills the ring with the next step's first units: that time is
// hidden as far as the ring goes, and what is more than that is not.
TEST(StreamedDisk, ReadsOnWhileATokenIsChosen) {
  Rig rig = disk_rig(0.3, 20);
  const Measured at_once = measure(rig, Tier::streamed);
  const double unit_ns = static_cast<double>(rig.unit_bytes) / 0.3;
  rig.between_ns = static_cast<std::int64_t>(2.5 * unit_ns);
  const Measured hidden = measure(rig, Tier::streamed);
  EXPECT_LE(hidden.token_ns, 1.02 * at_once.token_ns) << text_of(hidden);
  rig.between_ns = static_cast<std::int64_t>(20 * unit_ns);
  const Measured longer = measure(rig, Tier::streamed);
  EXPECT_GE(longer.token_ns, at_once.token_ns + 12 * unit_ns) << text_of(longer);
  rig.ring_slots = 24;
  const Measured larger = measure(rig, Tier::streamed);
  EXPECT_LE(larger.token_ns, 1.02 * at_once.token_ns) << text_of(larger);
}

TEST(StreamedDisk, HalfResidentIsTwiceAsFast) {
  std::vector<Tier> tiers = same_tier(*rig_model(), Tier::streamed);
  for (std::size_t i = 0; i < tiers.size(); i += 2) tiers[i] = Tier::device;
  const Rig rig = disk_rig(0.3, 20);
  const Measured all = measure(rig, Tier::streamed);
  const Measured half = measure(rig, tiers);
  EXPECT_LE(half.token_ns, 1.05 * half.disk_ns) << text_of(half);
  EXPECT_LE(half.token_ns, 1.05 * half.bytes / all.bytes * all.token_ns) << text_of(half);
}

/// A disk that takes its time in earnest, no two reads alike.
class DawdlingReader final : public BlockReader {
 public:
  explicit DawdlingReader(std::unique_ptr<BlockReader> inside) : inside_(std::move(inside)) {}
  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override {
    for (unsigned n = number_.fetch_add(31) % 97; n > 0; --n) std::this_thread::yield();
    inside_->read(unit, slot, places, std::move(stop));
  }
  ReaderStats stats() const override { return inside_->stats(); }

 private:
  std::unique_ptr<BlockReader> inside_;
  std::atomic<unsigned> number_{0};
};

TEST(StreamedDisk, IsTheSameOnEveryRunWhateverReadsReallyTake) {
  Rig rig = disk_rig(0.8, 1.5, 0.3);
  const Measured first = measure(rig, Tier::streamed);
  for (const int threads : {1, 4}) {
    rig.reader_threads = threads;
    EXPECT_EQ(measure(rig, Tier::streamed), first) << threads;
  }
  rig.late = false;
  rig.wrap_reader = [](std::unique_ptr<BlockReader> reader) {
    return std::make_unique<DawdlingReader>(std::move(reader));
  };
  EXPECT_EQ(measure(rig, Tier::streamed), first);
  rig.seed = 8;
  EXPECT_NE(measure(rig, Tier::streamed), first);
}

}  // namespace
}  // namespace strata::test
