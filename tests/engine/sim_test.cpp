// A model on a device with its own memory and late streams (backends/sim): results, memory, faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "runtime/engine/engine.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using sim::SimDevice;
using testing::HasSubstr;

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

std::shared_ptr<const Model> tiny(const char* name = "strata-tiny.gguf") {
  return Model::load(ModelFile::open(source_root() / "models" / name));
}

SimDevice device_of(std::uint64_t memory = 0, std::uint64_t seed = 1) {
  return {open_device("cpu", {1}), {memory, seed}};
}

RunnerOptions small() {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  return options;
}

TEST(SimDeviceTest, GivesTheBitsOfTheDeviceInside) {
  for (const char* name : {"strata-tiny.gguf", "strata-tiny-moe.gguf"}) {
    const auto model = tiny(name);
    const auto cpu = open_device("cpu", {1});
    Runner want(model, *cpu, small());
    const auto logits = all_logits(want, kPrompt);
    const auto tokens = greedy(want, kPrompt, 20);
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      SimDevice device = device_of(0, seed);
      Runner runner(model, device, small());
      EXPECT_EQ(all_logits(runner, kPrompt), logits) << name << " seed " << seed;
      EXPECT_EQ(greedy(runner, kPrompt, 20), tokens) << name << " seed " << seed;
    }
  }
}

// What was predicted without loading is what is then used, within alignment and staging.
TEST(SimDeviceTest, UsesTheMemoryThatWasPredicted) {
  const auto model = tiny();
  SimDevice device = device_of();
  const MemoryPlan plan = Runner::plan_memory(*model, place_whole(*model, device), small()).front();
  const Runner runner(model, device, small());
  const double predicted = static_cast<double>(plan.allocated());
  EXPECT_EQ(plan.weights_mapped, 0u);
  EXPECT_NEAR(static_cast<double>(device.memory().ours), predicted, 0.05 * predicted);
}

TEST(SimDeviceTest, AStepAllocatesNothing) {
  SimDevice device = device_of();
  Runner runner(tiny(), device, small());
  (void)greedy(runner, kPrompt, 2);
  const std::int64_t before = device.faults().allocations;
  (void)greedy(runner, kPrompt, 8);
  EXPECT_EQ(device.faults().allocations, before);
}

TEST(SimDeviceTest, ATooSmallDeviceIsRefusedWithTheNumbers) {
  const auto model = tiny();
  SimDevice device = device_of(1 << 20);
  try {
    const Runner runner(model, device, small());
    FAIL() << "fits into 1 MiB";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit);
    EXPECT_EQ(error.subject(), "sim:0");
    EXPECT_THAT(error.what(), HasSubstr("free 1.0 MiB"));
  }
  EXPECT_EQ(device.memory().ours, 0u);
}

// Whichever allocation fails: a typed error, and everything is given back.
TEST(SimDeviceTest, EveryAllocationMayFail) {
  const auto model = tiny();
  SimDevice device = device_of();
  std::int64_t failing = 0;
  for (;; ++failing) {
    device.faults().allocations = 0;
    device.faults().failing_allocation = failing;
    try {
      Runner runner(model, device, small());
      EXPECT_EQ(greedy(runner, kPrompt, 3).size(), 3u);
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    }
    EXPECT_EQ(device.memory().ours, 0u) << "allocation " << failing;
  }
  EXPECT_GT(failing, 10);
}

// An op that fails on the device does so some time after it was enqueued: it is seen where the step
// waits, as an error of its own, and destructors stay quiet.
TEST(SimDeviceTest, AFailingOpSurfacesAtTheEndOfTheStep) {
  const auto model = tiny();
  for (const std::int64_t later : {0, 1, 7, 30}) {
    SimDevice device = device_of();
    Runner runner(model, device, small());
    (void)greedy(runner, kPrompt, 2);
    device.faults().failing_op = device.faults().ops + later;
    try {
      (void)greedy(runner, kPrompt, 2);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::device_missing);
      EXPECT_EQ(error.subject(), "sim:0");
      EXPECT_THAT(error.what(), HasSubstr("is lost"));
      EXPECT_THAT(error.what(), HasSubstr("failed"));
    }
  }
}

TEST(SimDeviceTest, IsOpenedByName) {
  const auto device = open_device("sim:0", {1});
  EXPECT_EQ(to_string(device->info().id), "sim:0");
  for (const DeviceInfo& info : list_devices({1})) EXPECT_NE(info.id.backend, BackendKind::sim);
}

}  // namespace
}  // namespace strata::test
