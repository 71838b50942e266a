// Random divisions of models in random budgets: each runs with the right tokens or is refused with
// the numbers; no byte more than the budget is ever taken.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "runtime/core/error.h"
#include "tests/streamed/streamed_models.h"
#include "tests/streaming/poisoned_slots.h"

namespace strata::test {
namespace {

using sim::SimDevice;

constexpr int kCases = 1000;

struct Case {
  std::uint64_t budget = 0;
  std::vector<Tier> tiers;
  RunnerOptions options;
  std::string text;
};

template <class T, std::size_t n>
T one_of(std::mt19937_64& random, const T (&choices)[n]) {
  return choices[random() % n];
}

Case random_case(std::mt19937_64& random, const Model& model) {
  Case made;
  // From 32 KiB to 8 MiB, every size as likely as its double: less than one layer and more than
  // all.
  made.budget = static_cast<std::uint64_t>(
      std::exp2(15.0 + 8.0 * static_cast<double>(random() % 100000) / 100000.0));
  const unsigned streamed = random() % 4;
  for (std::int64_t i = 0; i <= model.config().layers; ++i) {
    const Tier tier = one_of(random, {Tier::device, Tier::host, Tier::streamed, Tier::cpu});
    made.tiers.push_back(streamed > 0 && random() % 4 < streamed ? Tier::streamed : tier);
  }
  made.options = streamed_options(one_of(random, {1, 3, 11, 32}));
  made.options.context = one_of(random, {24, 64, 300});
  made.options.stream.unit_bytes = std::uint64_t{1} << (10 + random() % 12);
  made.options.stream.slots = 2 + static_cast<int>(random() % 3);
  made.options.stream.ring_slots = 2 + static_cast<int>(random() % 5);
  made.options.stream.reader_threads = 1 + static_cast<int>(random() % 3);
  made.options.programs.pack_weights = random() % 4 > 0;
  made.text = fmt::format("budget {}, units of {}, {} slots, ring {}, {} tokens, tiers",
                          made.budget, made.options.stream.unit_bytes, made.options.stream.slots,
                          made.options.stream.ring_slots, made.options.programs.max_tokens);
  for (const Tier tier : made.tiers) made.text += fmt::format(" {}", static_cast<int>(tier));
  return made;
}

// Whether it ran.
bool run_case(const NamedModel& named, const std::vector<text::TokenId>& want, const Case& made,
              std::uint64_t seed) {
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {made.budget, seed});
  PoisonedSlots slots(device);
  RunnerOptions options = made.options;
  options.observer = &slots;
  const Placement placement = place_tiers(*named.model, *cpu, device, made.tiers);
  const std::vector<Device*> devices = devices_of(placement);
  const std::vector<MemoryPlan> plans = Runner::plan_memory(*named.model, placement, options);
  std::uint64_t need = 0;
  for (std::size_t i = 0; i < devices.size(); ++i)
    if (devices[i] == &device) need = plans[i].allocated();
  bool ran = false;
  try {
    Runner runner(named.model, placement, options);
    EXPECT_EQ(generate(runner, want.size()), want) << named.name << ": " << made.text;
    EXPECT_LE(device.memory().ours, made.budget);
    ran = true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit) << error.what() << made.text;
  }
  EXPECT_EQ(ran, need <= made.budget) << "needs " << need << ": " << made.text;
  EXPECT_EQ(device.memory().ours, 0u);
  EXPECT_EQ(device.pinned_bytes(), 0u);
  return ran;
}

TEST(StreamedBudgets, RandomOnesRunRightOrAreRefused) {
  const std::vector<NamedModel> models = streamed_models();
  std::vector<std::vector<text::TokenId>> want;
  for (const NamedModel& named : models) want.push_back(resident_answers(named.model).tokens);
  std::mt19937_64 random(6);
  int ran = 0;
  for (int i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    const std::size_t at = random() % models.size();
    ran += run_case(models[at], want[at], random_case(random, *models[at].model),
                    static_cast<std::uint64_t>(i));
  }
  RecordProperty("ran", std::to_string(ran));
  EXPECT_GT(ran, kCases / 3);
  EXPECT_LT(ran, kCases * 9 / 10);
}

}  // namespace
}  // namespace strata::test
