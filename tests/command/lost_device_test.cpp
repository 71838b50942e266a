// A device that fails in the middle of `strata run`, as its user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/command/stream_runs.h"

namespace strata::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Finished run_with_fault(const std::string& fault, const Words& arguments) {
  Start start;
  start.arguments = arguments;
  start.environment = {"STRATA_SIM_FAULT=" + fault};
  return run_strata(start);
}

TEST(LostDevice, BeforeTheFirstTokenTheCpuTakesOver) {
  const std::string want = run_strata(story(tiny())).out;
  const std::uint64_t half = need_of(story(tiny())) / 2;
  for (const Words& memory : {Words{}, Words{"--device-mem", kib(half)}}) {
    const Words words = story(tiny()) + Words{"--device", "sim:0,cpu"} + memory;
    const Finished run = run_with_fault("op:0", words);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, want);
    EXPECT_THAT(run.err, HasSubstr("sim:0: "));
    EXPECT_THAT(run.err, HasSubstr("device  cpu:0"));
  }
}

TEST(LostDevice, WhereOnlyItWasNamedTheRunEnds) {
  const Finished run = run_with_fault("op:5", story(tiny()) + Words{"--device", "sim:0"});
  EXPECT_EQ(run.status, 5) << run.err;
  EXPECT_THAT(run.err, HasSubstr("sim:0: "));
  EXPECT_THAT(run.err, Not(HasSubstr("device  cpu:0")));
  EXPECT_EQ(run.out, "");
}

// What was shown stands; nothing is shown twice, and nothing that another device made follows it.
TEST(LostDevice, AfterTheFirstTokensTheRunEndsWithWhatWasShown) {
  const std::string want = run_strata(story(tiny())).out;
  int cut = 0;
  for (const int op : {60, 120, 240, 480}) {
    const Finished run =
        run_with_fault("op:" + std::to_string(op), story(tiny()) + Words{"--device", "sim:0,cpu"});
    SCOPED_TRACE("op " + std::to_string(op));
    EXPECT_THAT(want, StartsWith(run.out));
    if (run.out == want) continue;
    EXPECT_EQ(run.status, 5) << run.err;
    EXPECT_NE(run.out, "");
    ++cut;
  }
  EXPECT_GT(cut, 0);
}

TEST(LostDevice, MemoryThatIsRefusedMakesASmallerPlan) {
  const Finished run =
      run_with_fault("allocation:3", story(tiny()) + Words{"--device", "sim:0,cpu"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, run_strata(story(tiny())).out);
  EXPECT_THAT(run.err, HasSubstr("planning for less memory"));
}

TEST(LostDevice, AFaultThatMakesNoSenseIsRefused) {
  for (const char* fault :
       {"", "op", "op:", "op:-1", "op:1x", "disk:1", "op:99999999999999999999"}) {
    const Finished run = run_with_fault(fault, story(tiny()) + Words{"--device", "sim:0"});
    EXPECT_EQ(run.status, 2) << fault;
    EXPECT_THAT(run.err, HasSubstr("STRATA_SIM_FAULT: ")) << fault;
  }
}

}  // namespace
}  // namespace strata::test
