// Layers whose experts come through slots give the bits of layers whose experts are all there.
#include "runtime/streaming/streamed_experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <random>

#include "backends/registry.h"
#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "tests/streaming/moe_layers.h"
#include "tests/streaming/poisoned_slots.h"

namespace strata::test {
namespace {

MoeLayers made(DType gate = DType::Q4_0, DType down = DType::Q8_0) {
  MoeLayers layers;
  layers.gate = gate;
  layers.down = down;
  layers.make(5);
  return layers;
}

// Steps of a prompt and of decoding, as rows of x.
std::vector<std::vector<float>> steps_of(const MoeLayers& layers) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> steps;
  for (const std::int32_t tokens : {1, 1, 24, 1, 1, 2, 1, 1, 1, 7, 1, 1}) {
    auto& x = steps.emplace_back(static_cast<std::size_t>(tokens * layers.dim));
    for (float& value : x) value = normal(random);
  }
  return steps;
}

std::vector<float> run_all(MoeRun& run, const MoeLayers& layers) {
  std::vector<float> all;
  for (const auto& x : steps_of(layers)) {
    const std::vector<float> out = run.step(x);
    all.insert(all.end(), out.begin(), out.end());
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::unique_ptr<Device> open_if_there(const std::string& name) {
  try {
    return open_device(name, {2});
  } catch (const Error&) {
    return nullptr;
  }
}

class ExpertsOn : public testing::TestWithParam<const char*> {};

TEST_P(ExpertsOn, AnyNumberOfSlotsGivesTheSameBits) {
  const auto device = open_if_there(GetParam());
  if (device == nullptr) GTEST_SKIP() << "SKIP: no device " << GetParam();
  struct Case {
    DType gate, down;
    bool pack, fuse;
  };
  for (const Case& c :
       {Case{DType::Q4_0, DType::Q8_0, true, true}, Case{DType::F16, DType::Q4_0, true, true},
        Case{DType::Q8_0, DType::F16, false, true}, Case{DType::Q4_0, DType::Q4_0, true, false}}) {
    const MoeLayers layers = made(c.gate, c.down);
    MoeRun whole(layers, *device, {0, c.pack, c.fuse});
    const std::vector<float> want = run_all(whole, layers);
    // One slot; less than a token's experts; theirs; shared by layers; each its own; all.
    for (const std::int64_t slots : {1, 2, 3, 6, 9, 13, 24}) {
      // In turn nothing is kept on the host, some, and all.
      const std::int64_t kept = slots % 2 == 0 ? 0 : slots % 3 == 0 ? 24 : 10;
      MoeRun streamed(layers, *device, {slots, c.pack, c.fuse, static_cast<int>(slots % 3), kept});
      EXPECT_TRUE(same_bits(run_all(streamed, layers), want))
          << slots << " slots, " << kept << " kept, " << dtype_info(c.gate).name << ' '
          << dtype_info(c.down).name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ExpertsOn, testing::Values("cpu", "sim:0", "vulkan:0"),
                         [](const auto& tested) {
                           const std::string name = tested.param;
                           return name.substr(0, name.find(':'));
                         });

using Key = std::pair<std::uint32_t, std::int32_t>;  // launch and expert

// What the requests would cost a list with the most recent in front.
ExpertCounts counted(const std::vector<RecordedExperts::Request>& requests, std::size_t slots,
                     std::uint32_t launch) {
  ExpertCounts counts;
  std::list<Key> recent;
  const auto use = [&](const Key& key) {
    recent.remove(key);
    recent.push_front(key);
  };
  for (const auto& request : requests) {
    if (request.launch != launch) continue;
    std::vector<Key> missing;
    for (const std::int32_t e : request.wanted) {
      const Key key{launch, e};
      if (std::find(recent.begin(), recent.end(), key) == recent.end()) {
        missing.push_back(key);
        continue;
      }
      ++counts.hits;
      use(key);
    }
    for (const Key& key : missing) {
      ++counts.misses;
      if (recent.size() == slots) {
        ++counts.evictions;
        recent.pop_back();
      }
      use(key);
    }
  }
  return counts;
}

// Decoding: every request fits, so that hits and misses are those of the textbook, launch by
// launch.
TEST(StreamedExperts, CountsAreThoseOfAnLruList) {
  const MoeLayers layers = made();
  const auto device = open_device("cpu", {1});
  for (const std::int64_t slots : {6, 9, 12, 18, 24}) {
    MoeRun run(layers, *device, {slots});
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (int step = 0; step < 60; ++step) {
      std::vector<float> x(static_cast<std::size_t>(layers.dim));
      for (float& value : x) value = normal(random);
      (void)run.step(x);
    }
    ASSERT_EQ(run.requests().size(), 60u * 3 * 2);
    ExpertCounts want;
    for (std::uint32_t launch = 0; launch < 6; ++launch)
      want += counted(run.requests(), static_cast<std::size_t>(slots / 3), launch);
    const ExpertStats stats = run.experts().stats();
    EXPECT_EQ(stats.counts.hits, want.hits);
    EXPECT_EQ(stats.counts.misses, want.misses);
    EXPECT_EQ(stats.counts.evictions, want.evictions);
    EXPECT_EQ(static_cast<std::int64_t>(want.misses), run.reader().reads.load());
    EXPECT_EQ(stats.counts.hits + stats.counts.misses, 60u * 3 * 2 * 2);
    EXPECT_EQ(stats.counts.evictions == 0, slots == 24);
  }
}

// A prompt that wants all experts brings each at most once per launch, whatever the slots.
TEST(StreamedExperts, APromptReadsEachExpertAtMostOnce) {
  const MoeLayers layers = made();
  const auto device = open_device("cpu", {1});
  for (const std::int64_t slots : {1, 4, 9, 15}) {
    MoeRun run(layers, *device, {slots});
    (void)run.step(steps_of(layers)[2]);
    std::map<Key, int> first_wants;
    for (const auto& request : run.requests())
      for (const std::int32_t e : request.wanted) first_wants[{request.launch, e}] = 1;
    EXPECT_EQ(run.reader().reads.load(), static_cast<std::int64_t>(first_wants.size()));
    const std::uint64_t expert = byte_size({layers.gate, Layout::rows, {layers.ffn, layers.dim}});
    EXPECT_GE(run.experts().stats().bytes_read, expert);
  }
}

TEST(StreamedExperts, AFailedReadIsAnErrorAndTheNextStepWorks) {
  const MoeLayers layers = made();
  const auto steps = steps_of(layers);
  for (const char* name : {"cpu", "sim:0"}) {
    const auto device = open_device(name, {1});
    MoeRun whole(layers, *device, {});
    const std::vector<float> want = whole.step(steps[2]);
    for (const auto& [readers, kept] : {std::pair{0, 0}, {2, 0}, {0, 10}, {2, 24}}) {
      MoeRun run(layers, *device, {9, true, true, readers, kept});
      (void)run.step(steps[0]);
      for (std::int64_t later = 0; later < 40; later += 3) {
        const std::int64_t before = run.reader().reads;
        run.reader().failing = before + later;
        try {
          (void)run.step(steps[2]);
          EXPECT_LE(run.reader().reads, before + later) << "no error";
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::io);
        }
        run.reader().failing = -1;
        EXPECT_TRUE(same_bits(run.step(steps[2]), want)) << name << " read " << later;
      }
    }
  }
}

TEST(StreamedExperts, MemoryIsWhatWasSaid) {
  const MoeLayers layers = made(DType::F16, DType::Q4_0);
  sim::SimDevice device(open_device("cpu", {1}), {});
  for (const std::int64_t slots : {2, 7, 24}) {
    const MoeRun probe(layers, device, {});
    const std::uint64_t before = device.memory().ours;
    MoeRun run(layers, device, {slots});
    const ExpertMemory need = run.experts().memory({slots, 2, 3, 0});
    // Besides: what the other run has without its experts, and routes.
    const std::uint64_t resident = before - static_cast<std::uint64_t>(layers.layers) * 2 *
                                                (2 * byte_size(layers.desc("ffn_up_exps.weight")) +
                                                 byte_size(layers.desc("ffn_down_exps.weight")));
    EXPECT_EQ(device.memory().ours - before,
              resident + need.device + ExpertRoutes::device_bytes(8, MoeRun::kTokens * 2));
    EXPECT_EQ(run.experts().most_slots({0, 2, 3, 0}, need.device), slots);
    EXPECT_EQ(run.experts().most_slots({0, 2, 3, 0}, need.device - 1),
              slots == 24 ? 23 : slots - 1);
  }
}

// What was read stays on the host where all have room there: each is read once.
TEST(StreamedExperts, WhatIsKeptIsReadOnce) {
  const MoeLayers layers = made();
  const auto device = open_device("sim:0", {1});
  MoeRun run(layers, *device, {6, true, true, 2, 24});
  const std::vector<float> first = run_all(run, layers);
  const std::uint64_t read = run.experts().stats().bytes_read;
  EXPECT_TRUE(same_bits(run_all(run, layers), first));
  const ExpertStats stats = run.experts().stats();
  EXPECT_EQ(stats.bytes_read, read) << "the second time nothing is read";
  EXPECT_LE(run.reader().reads.load(), 3 * 2 * 8) << "experts of launches";
  EXPECT_EQ(stats.counts.misses - stats.host_hits,
            static_cast<std::uint64_t>(run.reader().reads.load()));
  EXPECT_GT(stats.bytes_uploaded, 2 * read);
}

// The second level is an LRU list of what was missing in slots, of all layers together.
TEST(StreamedExperts, WhatIsKeptIsAnLruListBehindTheSlots) {
  const MoeLayers layers = made();
  const auto device = open_device("sim:0", {1});
  for (const std::int64_t kept : {4, 11, 17}) {
    MoeRun run(layers, *device, {9, true, true, 0, kept});
    std::mt19937 random(4);
    std::normal_distribution<float> normal;
    for (int step = 0; step < 60; ++step) {
      std::vector<float> x(static_cast<std::size_t>(layers.dim));
      for (float& value : x) value = normal(random);
      (void)run.step(x);
    }
    std::uint64_t found = 0;
    for (const std::uint32_t which : {0u, 1u}) {  // gate with up, and down
      std::list<Key> host;
      std::map<std::uint32_t, std::list<std::int32_t>> slots;
      for (const auto& request : run.requests()) {
        if (request.launch % 2 != which) continue;
        std::list<std::int32_t>& recent = slots[request.launch];
        std::vector<std::int32_t> missing;
        for (const std::int32_t e : request.wanted) {
          const bool there = std::find(recent.begin(), recent.end(), e) != recent.end();
          if (!there) missing.push_back(e);
          if (there) recent.remove(e), recent.push_front(e);
        }
        for (const std::int32_t e : missing) {
          if (recent.size() == 3) recent.pop_back();
          recent.push_front(e);
          const Key key{request.launch, e};
          if (std::find(host.begin(), host.end(), key) != host.end()) {
            ++found;
            host.remove(key);
          }
          host.push_front(key);
          if (host.size() > static_cast<std::size_t>(kept)) host.pop_back();
        }
      }
    }
    EXPECT_EQ(run.experts().stats().host_hits, found) << kept;
    if (kept > 2 * 3 * 2) {
      EXPECT_GT(found, 0u);
    }
  }
}

// Pinned memory that the system does not give is done without, or is pageable.
TEST(StreamedExperts, LessPinnedMemoryThanAskedForWillDo) {
  const MoeLayers layers = made();
  const auto plain = open_device("cpu", {1});
  MoeRun whole(layers, *plain, {});
  const std::vector<float> want = run_all(whole, layers);
  const std::uint64_t routes = ExpertRoutes::host_bytes(8, MoeRun::kTokens * 2);
  sim::SimDevice probe(open_device("cpu", {1}), {});
  MoeRun measured(layers, probe, {9, true, true, 0, 24});
  EXPECT_EQ(probe.pinned_bytes(), measured.experts().memory({9, 2, 3, 0, 24}).pinned + routes);
  // For gate with up and for down what is needed, and what is kept; then the two of routes.
  const std::int64_t first = probe.faults().allocations - 6;
  for (const std::int64_t refused : {0, 1, 2, 3}) {
    sim::SimDevice device(open_device("cpu", {1}), {});
    device.faults().failing_allocation = first + refused;
    MoeRun run(layers, device, {9, true, true, 2, 24});
    EXPECT_TRUE(same_bits(run_all(run, layers), want)) << refused;
    EXPECT_EQ(run.experts().stats().pageable, refused % 2 == 0) << refused;
    const std::uint64_t taken = device.pinned_bytes();
    EXPECT_EQ(taken < probe.pinned_bytes(), refused % 2 == 1) << refused;
  }
}

// A slot faults for kernels while it does not hold what they asked for.
TEST(StreamedExperts, NobodyReadsASlotThatIsNotFilled) {
  MoeLayers layers;
  layers.gate = DType::F16;  // as the file has it: copied right into the slot
  layers.down = DType::Q4_0;
  layers.dim = layers.ffn = 128;  // pages of their own within slots
  layers.make(5);
  const auto plain = open_device("cpu", {1});
  for (const bool packed : {true, false}) {
    MoeRun whole(layers, *plain, {0, packed});
    const std::vector<float> want = run_all(whole, layers);
    for (std::uint64_t seed = 1; seed < 6; ++seed) {
      sim::SimDevice device(open_device("cpu", {1}), {0, seed});
      PoisonedSlots slots(device);
      MoeRun run(layers, device, {7, packed, true, 1, seed % 2 == 0 ? 12 : 0, &slots});
      EXPECT_TRUE(same_bits(run_all(run, layers), want));
      EXPECT_GT(slots.filled(), 10);
      EXPECT_EQ(slots.overwritten(), 0);
    }
  }
}

// Uniform routing: a layer's own slots hold so many of its experts; slots that layers share hold
// what the others have put there.
TEST(StreamedExperts, UniformHitRates) {
  const MoeLayers layers = made();
  const auto device = open_device("cpu", {1});
  MoeRun run(layers, *device, {9});
  const auto rate = [&](std::int64_t slots) { return run.experts().uniform_hit_rate({slots, 2}); };
  EXPECT_EQ(rate(1), 0);
  EXPECT_EQ(rate(3), 0);
  EXPECT_DOUBLE_EQ(rate(6), 2.0 / 8);
  EXPECT_DOUBLE_EQ(rate(10), 10.0 / 24);
  EXPECT_EQ(rate(24), 1);
  EXPECT_EQ(run.experts().launches(), 6);
}

TEST(StreamedExperts, AStepAllocatesNothingOnTheDevice) {
  const MoeLayers layers = made();
  sim::SimDevice device(open_device("cpu", {1}), {});
  MoeRun run(layers, device, {9});
  const std::int64_t before = device.faults().allocations;
  (void)run_all(run, layers);
  EXPECT_EQ(device.faults().allocations, before);
}

}  // namespace
}  // namespace strata::test
