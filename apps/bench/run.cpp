#include "apps/bench/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/load.h"
#include "runtime/core/error.h"
#include "runtime/text/random.h"
#include "runtime/weights/describe.h"

namespace strata::apps {
namespace {

using cli::OptionId;

constexpr std::uint64_t kSeed = 1;
constexpr std::uint64_t kDepthStream = 0;   // the tokens before the test
constexpr std::uint64_t kWarmUpStream = 1;  // repetitions come after it

RunnerOptions runner_options(const cli::Arguments& arguments, const BenchSetup& setup,
                             std::int64_t context) {
  RunnerOptions options;
  options.programs.kv.k = setup.type_k;
  options.programs.kv.v = setup.type_v;
  options.programs.pack_weights = arguments.flag(OptionId::repack);
  options.programs.max_tokens =
      static_cast<std::int32_t>(std::min({setup.batch, setup.micro_batch, context}));
  options.context = context;
  return options;
}

PlannedModel plan_setup(const cli::Arguments& arguments, const BenchSetup& setup,
                        std::int64_t context) {
  PlannedModel planned;
  planned.chosen = open_asked_device(arguments, setup.threads);
  planned.model = Model::load(ModelFile::open(
      setup.model, {arguments.flag(OptionId::mlock), !arguments.flag(OptionId::mmap)}));
  refuse_split_layers(arguments, planned.model->config().layers);
  planned.options = runner_options(arguments, setup, context);
  planned.limits = asked_limits(arguments, planned.chosen);
  planned.wish = {context, context};
  planned.context_asked = true;
  planned.max_tokens_asked = true;
  find_room(planned);
  return planned;
}

std::string size_text(std::uint64_t parameters) {
  const double count = static_cast<double>(parameters);
  if (count < 1e8) return fmt::format("{:.1f}M", count * 1e-6);
  if (count >= 1e10) return fmt::format("{:.0f}B", count * 1e-9);
  std::string text = fmt::format("{:.1f}", count * 1e-9);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + "B";
}

}  // namespace

BenchModel describe_model(const Model& model) {
  const ModelSummary summary = summarize(model.file());
  return {fmt::format("{} {} {}", model.config().architecture, size_text(summary.parameters),
                      model_type_text(model.file())),
          summary.tensor_bytes, summary.parameters};
}

BenchModelRun::BenchModelRun(const cli::Arguments& arguments, Console& console,
                             const BenchSetup& setup, std::int64_t context)
    : planned_(plan_setup(arguments, setup, context)),
      profile_(arguments),
      runner_(load_placed(planned_, console)),
      costs_(*planned_.model, device(), planned_.options.programs),
      about_(describe_model(*planned_.model)),
      sequence_(runner_->pool().open()) {
  for (const std::string& warning : planned_.model->warnings()) console.warn(warning);
  if (planned_.residency) console.note(plan_block(planned_));
  profile_.attach(*runner_);
  tokens_.reserve(static_cast<std::size_t>(context));
  batch_.reserve(static_cast<std::size_t>(runner_->max_tokens()));
}

void BenchModelRun::draw(std::int64_t count, std::uint64_t stream) {
  const auto vocabulary = static_cast<double>(planned_.model->config().vocab);
  tokens_.clear();
  for (std::int64_t i = 0; i < count; ++i)
    tokens_.push_back(static_cast<text::TokenId>(
        vocabulary * text::uniform_at(kSeed, stream, static_cast<std::uint64_t>(i))));
}

// One step after another: as many tokens as a step holds, or one.
void BenchModelRun::run_tokens(std::span<const text::TokenId> tokens, bool at_once,
                               bool wants_logits, const Check& check) {
  PagePool& pool = runner_->pool();
  const std::size_t most = at_once ? static_cast<std::size_t>(runner_->max_tokens()) : 1;
  while (!tokens.empty()) {
    check();
    const std::span<const text::TokenId> now = tokens.first(std::min(most, tokens.size()));
    tokens = tokens.subspan(now.size());
    const auto first = static_cast<std::int32_t>(pool.length(sequence_));
    if (!pool.extend(sequence_, static_cast<std::int64_t>(now.size())))
      throw Error(ErrorCode::runtime, "cache", "has no room for the test");
    batch_.clear();
    for (std::size_t i = 0; i < now.size(); ++i) {
      const bool last = i + 1 == now.size() && (tokens.empty() || !at_once);
      batch_.push_back(
          {now[i], sequence_, first + static_cast<std::int32_t>(i), wants_logits && last});
    }
    runner_->step(batch_, [](std::size_t, std::span<const float>) {});
  }
}

void BenchModelRun::fill(const BenchCase& test, const Check& check) {
  PagePool& pool = runner_->pool();
  if (depth_ > test.depth) depth_ = test.depth;
  pool.truncate(sequence_, depth_);
  if (depth_ == test.depth) return;
  draw(test.depth, kDepthStream);
  run_tokens(std::span(tokens_).subspan(static_cast<std::size_t>(depth_)), true, false, check);
  depth_ = test.depth;
}

std::int64_t BenchModelRun::sample_ns(const BenchCase& test, std::uint64_t repetition,
                                      const Check& check) {
  runner_->pool().truncate(sequence_, depth_);
  draw(test.tokens(), kWarmUpStream + 1 + repetition);
  const std::span<const text::TokenId> tokens(tokens_);
  const auto prompt = static_cast<std::size_t>(test.prompt);
  const std::int64_t begin = steady_ns();
  run_tokens(tokens.first(prompt), true, true, check);
  run_tokens(tokens.subspan(prompt), false, true, check);
  return steady_ns() - begin;
}

void BenchModelRun::warm_up(const BenchCase& test, const Check& check) {
  runner_->pool().truncate(sequence_, depth_);
  draw(test.prompt + std::min<std::int64_t>(test.generate, 1), kWarmUpStream);
  const std::span<const text::TokenId> tokens(tokens_);
  const auto prompt = static_cast<std::size_t>(test.prompt);
  run_tokens(tokens.first(prompt), true, true, check);
  run_tokens(tokens.subspan(prompt), false, true, check);
}

StepCost BenchModelRun::cost(const BenchCase& test) {
  StepCost total;
  for (std::int64_t done = 0; done < test.prompt;) {
    const std::int64_t count = std::min<std::int64_t>(runner_->max_tokens(), test.prompt - done);
    const bool last = done + count == test.prompt;
    total += costs_.step(static_cast<std::int32_t>(count), test.depth + done, last ? 1 : 0);
    done += count;
  }
  // The cache grows by one token a step: the middle one counts for all.
  const StepCost middle = test.generate > 0
                              ? costs_.step(1, test.depth + test.prompt + test.generate / 2, 1)
                              : StepCost{};
  for (std::int64_t i = 0; i < test.generate; ++i) total += middle;
  return total;
}

}  // namespace strata::apps
