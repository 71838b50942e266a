// Copies behind kernels, on the virtual clock of a simulated device: exact, whatever the machine
// that runs the test is doing.
#include <gtest/gtest.h>

#include "tests/streamed/rig.h"

namespace strata::test {
namespace {

TEST(StreamedOverlap, TakesAsLongAsTheSlowerLink) {
  for (const double share : {20.0, 4.0, 1.5, 0.5, 0.1}) {
    const Measured m = measure({speeds_of(share)}, Tier::host);
    EXPECT_LE(m.token_ns, 1.05 * m.slower_link()) << share << ": " << text_of(m);
    EXPECT_GE(m.token_ns, m.slower_link() * 0.999) << share << ": " << text_of(m);
  }
}

// The time of a token is what kernels took, what they waited for copies, and what lies between two
// steps.
TEST(StreamedOverlap, StallsExplainTheTime) {
  for (const double share : {20.0, 1.5, 0.1}) {
    const Measured m = measure({speeds_of(share)}, Tier::host);
    EXPECT_LE(m.compute_ns + m.stall_ns, m.token_ns * 1.001) << share << ": " << text_of(m);
    EXPECT_GE(m.compute_ns + m.stall_ns, m.token_ns * 0.95) << share << ": " << text_of(m);
  }
  const Measured bound = measure({speeds_of(0.1)}, Tier::host);
  EXPECT_LE(bound.stall_ns, 0.03 * bound.token_ns) << text_of(bound);
}

TEST(StreamedOverlap, MovesEachWeightOncePerToken) {
  const auto model = rig_model();
  const Measured m = measure({speeds_of(4)}, Tier::host);
  std::uint64_t matrices = 0;
  for (const TensorInfo& tensor : model->file().tensors())
    if (tensor.bytes > 4096) matrices += tensor.bytes;  // the embeddings are the output as well
  EXPECT_NEAR(m.bytes, static_cast<double>(matrices), 0.01 * static_cast<double>(matrices));
}

TEST(StreamedOverlap, HalfResidentIsTwiceAsFast) {
  const auto model = rig_model();
  std::vector<Tier> tiers = same_tier(*model, Tier::host);
  for (std::size_t i = 0; i < tiers.size(); i += 2) tiers[i] = Tier::device;
  const Measured all = measure({speeds_of(20)}, Tier::host);
  const Measured half = measure({speeds_of(20)}, tiers);
  const double share = half.bytes / all.bytes;
  EXPECT_LE(half.token_ns, 1.05 * share * all.token_ns) << text_of(half) << text_of(all);
}

// Losses by jitter of copies that take as long as their kernels, and how slots make up for them.
TEST(StreamedOverlap, MoreSlotsMakeUpForJitter) {
  for (const double jitter : {0.1, 0.3, 1.0}) {
    std::vector<double> times;
    for (const int slots : {2, 3, 4}) {
      const Measured m = measure({speeds_of(3, jitter), slots}, Tier::host);
      times.push_back(m.token_ns / m.slower_link());
    }
    EXPECT_LE(times[1], times[0]) << jitter;
    EXPECT_LE(times[2], times[1]) << jitter;
  }
}

TEST(StreamedOverlap, IsTheSameOnEveryRunWhateverTheRealOrder) {
  const Rig rig{speeds_of(2, 0.3), 3, 7};
  const Measured first = measure(rig, Tier::host);
  EXPECT_EQ(measure(rig, Tier::host), first);
  Rig prompt = rig;
  prompt.late = false;
  EXPECT_EQ(measure(prompt, Tier::host), first);
  Rig other = rig;
  other.seed = 8;
  EXPECT_NE(measure(other, Tier::host), first);
}

}  // namespace
}  // namespace strata::test
