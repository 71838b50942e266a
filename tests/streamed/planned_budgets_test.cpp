// The planner's own plans under random budgets, on random machines: each runs with the right tokens
// within its budget, or there is no plan and the error has the numbers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

#include "runtime/core/error.h"
#include "runtime/engine/residency_request.h"
#include "tests/streamed/streamed_models.h"

namespace strata::test {
namespace {

using sim::SimDevice;

constexpr int kCases = 1000;

struct Outcomes {
  int resident = 0;
  int streamed = 0;
  int refused = 0;
};

double speed(std::mt19937_64& random) {
  return random() % 8 == 0 ? 0 : std::exp2(27 + static_cast<double>(random() % 1000) / 100);
}

// From 32 KiB to 8 MiB, every size as likely as its double.
std::uint64_t budget(std::mt19937_64& random) {
  return static_cast<std::uint64_t>(
      std::exp2(15 + 8 * static_cast<double>(random() % 100000) / 100000));
}

ResidencyWish random_wish(std::mt19937_64& random) {
  ResidencyWish wish;
  wish.options = streamed_options(1 + static_cast<std::int32_t>(random() % 64));
  wish.options.context = 32 + static_cast<std::int64_t>(random() % 300);
  wish.context_asked = random() % 2 == 0;
  wish.max_tokens_asked = random() % 2 == 0;
  wish.cpu_may_compute = random() % 3 == 0;
  wish.budgets = {budget(random), random() % 4 == 0 ? budget(random) : 1 << 26, 1 << 30};
  wish.links = {speed(random), speed(random), speed(random), speed(random),
                speed(random), speed(random), speed(random)};
  return wish;
}

void expect_right(const NamedModel& named, const PlannedResidency& planned,
                  const std::vector<text::TokenId>& want, const SimDevice& device,
                  std::uint64_t most) {
  Runner runner(named.model, planned.placement, planned.options);
  const auto room = planned.options.context - static_cast<std::int64_t>(kPrompt.size());
  const auto count = static_cast<std::size_t>(std::clamp<std::int64_t>(room, 0, 12));
  const std::vector first(want.begin(), want.begin() + static_cast<std::ptrdiff_t>(count));
  if (count > 0) {
    EXPECT_EQ(generate(runner, count), first);
  }
  EXPECT_LE(device.memory().ours, most);
}

void run_case(const NamedModel& named, const std::vector<text::TokenId>& want,
              const ResidencyWish& wish, std::uint64_t seed, Outcomes& outcomes) {
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {wish.budgets.device, seed});
  const ResidencyRequest request = make_residency_request(*named.model, device, cpu.get(), wish);
  std::optional<ResidencyPlan> plan;
  try {
    plan = plan_residency(request);
  } catch (const Error& error) {
    ++outcomes.refused;
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr("needs"));
    return;
  }
  ++(plan->streams ? outcomes.streamed : outcomes.resident);
  // What was planned must not be refused any more.
  expect_right(named, apply_residency(request, *plan, device, cpu.get(), wish.options), want,
               device, wish.budgets.device);
}

TEST(PlannedBudgets, EveryPlanRunsRightWithinItsBudget) {
  const std::vector<NamedModel> models = streamed_models();
  std::vector<std::vector<text::TokenId>> want;
  for (const NamedModel& named : models) want.push_back(resident_answers(named.model).tokens);
  std::mt19937_64 random(11);
  Outcomes outcomes;
  for (int i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    const std::size_t at = random() % models.size();
    const ResidencyWish wish = random_wish(random);
    SCOPED_TRACE(fmt::format("case {}: {}, budget {}, context {}{}, chunk {}{}, cpu {}", i,
                             models[at].name, wish.budgets.device, wish.options.context,
                             wish.context_asked ? " asked" : "", wish.options.programs.max_tokens,
                             wish.max_tokens_asked ? " asked" : "", wish.cpu_may_compute));
    run_case(models[at], want[at], wish, static_cast<std::uint64_t>(i), outcomes);
  }
  RecordProperty("streamed", std::to_string(outcomes.streamed));
  EXPECT_GT(outcomes.streamed, kCases / 5);
  EXPECT_GT(outcomes.resident, kCases / 20);
  EXPECT_GT(outcomes.refused, kCases / 50);
}

}  // namespace
}  // namespace strata::test
