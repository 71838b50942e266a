// The link probe: every method is measured on the real file, and one that fell back does not win.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "backends/registry.h"
#include "backends/sim/sim_device.h"
#include "runtime/streaming/link_probe.h"
#include "tests/streaming/reader_fixture.h"
#include "tests/streaming/refusals.h"

namespace strata {
namespace {

class Probe : public test::ReaderTest {
 protected:
  std::vector<StreamUnit> sweep(std::size_t units) const {
    std::vector<StreamUnit> result(units);
    for (std::size_t i = 0; i < units; ++i)
      result[i].parts.push_back({0, 500 * i, bytes_.size() / 2});
    return result;
  }
  std::vector<std::span<std::byte>> slots(std::size_t count) {
    const std::uint64_t bytes = (bytes_.size() / 2 / test::kPage + 2) * test::kPage;
    const std::span<std::byte> all = slot_for({{{0, 0, count * bytes}}});
    std::vector<std::span<std::byte>> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(all.subspan(i * bytes, bytes));
    return result;
  }
};

TEST_F(Probe, MeasuresEveryMethodAndTakesTheFastest) {
  for (const std::size_t units : {1, 2, 30}) {
    for (const bool cold : {false, true}) {
      const ProbedReader probed = probe_reader(
          file_, sweep(units), slots(2), {.threads = 2, .seconds_per_method = 0.01, .cold = cold});
      ASSERT_EQ(probed.tried.size(), 3U);
      double best = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(probed.tried[i].method, test::kMethods[i]);
        EXPECT_GT(probed.tried[i].bytes_per_second, 1e6);
        best = std::max(best, probed.tried[i].bytes_per_second);
      }
      EXPECT_EQ(probed.bytes_per_second, best);
    }
  }
}

TEST_F(Probe, AMethodThatFellBackDoesNotWin) {
  const test::Refusal no_direct{
      .call = SYS_openat, .argument = 2, .mask = O_DIRECT, .value = O_DIRECT, .error = EINVAL};
  const bool ran = test::with_refusal(no_direct, [&] {
    const ProbedReader probed =
        probe_reader(file_, sweep(2), slots(1), {.threads = 1, .seconds_per_method = 0.01});
    EXPECT_NE(probed.method, ReadMethod::direct);
    EXPECT_THAT(probed.tried[2].note, testing::HasSubstr("refused"));
  });
  if (!ran) GTEST_SKIP() << "seccomp is not allowed here";
}

TEST_F(Probe, SaysWhenAFileFailsOrNothingIsGiven) {
  EXPECT_THROW(probe_reader(file_, {}, slots(1)), Error);
  EXPECT_THROW(probe_reader(file_, sweep(1), {}), Error);
  std::filesystem::resize_file(path_, 5000);
  EXPECT_THROW(probe_reader(file_, sweep(2), slots(2)), Error);
}

TEST(LinkProbe, CopiesAreMeasured) {
  EXPECT_GT(probe_host_copy(), 1e8);
  const auto cpu = open_device("cpu", {1});
  EXPECT_EQ(probe_upload(*cpu, 1 << 20), 0) << "nothing is uploaded to memory that is the host's";
  sim::SimDevice device(open_device("cpu", {1}), {});
  EXPECT_GT(probe_upload(device, 1 << 20), 1e7);
  EXPECT_EQ(device.memory().ours, 0U);
  sim::SimDevice small(open_device("cpu", {1}), {.memory_bytes = 1 << 19});
  EXPECT_THROW(probe_upload(small, 1 << 20), Error);
}

}  // namespace
}  // namespace strata
