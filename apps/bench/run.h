#pragma once

#include <functional>
#include <memory>
#include <span>

#include "apps/bench/result.h"
#include "apps/planned_model.h"
#include "apps/profile.h"
#include "runtime/engine/runner.h"
#include "runtime/text/token.h"

namespace strata::apps {

/// A loaded model on which tests of one setup are run. Tokens are random with a fixed seed: they
/// depend on their position and the repetition, so that every run routes to the same experts.
class BenchModelRun {
 public:
  /// Loads the model with room for `context` tokens. `arguments` has the other machine options.
  BenchModelRun(const cli::Arguments& arguments, Console& console, const BenchSetup& setup,
                std::int64_t context);

  Device& device() { return planned_.device(); }
  const BenchModel& about() const { return about_; }

  /// Called between steps, also while a sample is timed: cheap, and throws to stop.
  using Check = std::function<void()>;
  /// Fills the cache to the test's depth, unless it is so filled already.
  void fill(const BenchCase& test, const Check& check);
  /// Runs the test once behind that depth and gives its time. Allocates nothing while it is timed.
  std::int64_t sample_ns(const BenchCase& test, std::uint64_t repetition, const Check& check);
  /// What llama-bench runs before it measures: the whole prompt, or one token.
  void warm_up(const BenchCase& test, const Check& check);

  /// What one sample reads and computes.
  StepCost cost(const BenchCase& test);

 private:
  void run_tokens(std::span<const text::TokenId> tokens, bool at_once, bool wants_logits,
                  const Check& check);
  void draw(std::int64_t count, std::uint64_t stream);

  PlannedModel planned_;
  Profile profile_;
  std::unique_ptr<Runner> runner_;
  StepCosts costs_;
  BenchModel about_;
  std::int32_t sequence_ = -1;
  std::int64_t depth_ = 0;             ///< tokens in the cache that fill() put there
  std::vector<text::TokenId> tokens_;  ///< of the next run
  std::vector<BatchToken> batch_;
};

/// "qwen3 0.6B Q4_0": architecture, parameters, the type of most bytes.
BenchModel describe_model(const Model& model);

}  // namespace strata::apps
