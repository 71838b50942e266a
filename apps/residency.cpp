#include "apps/residency.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/overrides.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"
#include "runtime/engine/measure_links.h"

namespace strata::apps {
namespace {

using cli::OptionId;

// Logits of many rows at once spare passes over the output matrix, but room for them is room that
// weights do not get.
constexpr std::uint64_t kLogitPart = 16;

// Kept free of a machine's own memory where the user names no limit: for the page tables of what
// is mapped, other programs, and a reader's page cache.
std::uint64_t host_margin(std::uint64_t free) {
  return std::max<std::uint64_t>(std::uint64_t{256} << 20, free / 16);
}

std::uint64_t usable_host_memory(const MemoryLimits& limits) {
  const std::uint64_t free = read_host_memory().free;
  const std::uint64_t usable = free - std::min(free, host_margin(free));
  return limits.host > 0 ? std::min(limits.host, free) : usable;
}

Budgets budgets_of(const Device& device, const MemoryLimits& limits) {
  Budgets budgets;
  budgets.host = usable_host_memory(limits);
  budgets.device = usable_memory(device, limits);
  if (device.info().unified && limits.device == 0)
    budgets.device = std::min(budgets.device, budgets.host);
  // Pinned memory is nobody else's: half of what is free, unless the user says how much.
  budgets.pinned = limits.host > 0 ? budgets.host : budgets.host / 2;
  return budgets;
}

// The one device that computes what the CPU does not.
Device& main_device(const ChosenDevices& chosen) {
  if (chosen.gpus.size() > 1)
    throw Error(ErrorCode::does_not_fit, "the model",
                fmt::format("is larger than the free memory of {} GPUs, and streams to one only",
                            chosen.gpus.size()),
                "one GPU (--device), or -ngl auto, which leaves to the CPU what does not fit");
  return chosen.gpus.empty() ? *chosen.cpu : *chosen.gpus.front();
}

}  // namespace

std::vector<TensorOverride> asked_overrides(const cli::Arguments& arguments, const Model& model) {
  const DeviceId cpu{BackendKind::cpu, 0};
  std::vector<TensorOverride> rules;
  for (const std::string& text : arguments.texts(OptionId::override_tensor))
    for (TensorOverride& rule : cli::parse_tensor_overrides("-ot", text))
      rules.push_back(std::move(rule));
  if (model.config().experts == 0) return rules;
  if (arguments.flag(OptionId::cpu_moe)) rules.push_back({cli::expert_pattern(), cpu});
  const std::int64_t layers =
      std::min(arguments.integer(OptionId::cpu_moe_layers), model.config().layers);
  for (std::int64_t layer = 0; layer < layers; ++layer)
    rules.push_back({cli::expert_pattern(layer), cpu});
  return rules;
}

Residency plan_streaming(const ResidencyQuestion& question) {
  Residency residency;
  residency.device = &main_device(question.chosen);
  residency.host = &question.chosen.host();
  Device& device = *residency.device;
  ResidencyWish wish;
  wish.options = question.options;
  wish.context_asked = question.context_asked;
  wish.max_tokens_asked = question.max_tokens_asked;
  wish.budgets = budgets_of(device, question.limits);
  const MeasuredLinks links =
      measure_links(question.model, device, *residency.host, wish.options.programs);
  wish.links = links.speeds;
  // Layers that move to the CPU change the last bits of the result, and --device-mem must not.
  wish.cpu_may_compute = question.chosen.cpu_may_help &&
                         (question.limits.device == 0 || question.chosen.cpu != nullptr);
  wish.overridden = question.overridden;
  residency.wanted = question.options;
  residency.wanted.stream.method = links.method;
  residency.wanted.logit_bytes =
      std::clamp<std::uint64_t>(wish.budgets.device / kLogitPart, 1, residency.wanted.logit_bytes);
  wish.options.logit_bytes = residency.wanted.logit_bytes;
  residency.request = make_residency_request(question.model, device, residency.host, wish);
  residency.plan = plan_residency(residency.request);
  if (residency.plan.shape.context < question.least_context) {
    residency.request.context = question.least_context;
    residency.request.context_asked = true;
    residency.plan = plan_residency(residency.request);
  }
  return residency;
}

void plan_smaller(Residency& residency) {
  std::uint64_t& budget = residency.request.budgets.device;
  budget = smaller_budget(budget, 0);
  residency.plan = plan_residency(residency.request);
}

PlacedModel placed_residency(const Residency& residency, const Model& model,
                             RunnerOptions& options) {
  PlannedResidency planned = apply_residency(residency.request, residency.plan, *residency.device,
                                             residency.host, residency.wanted);
  planned.options.on_progress = std::move(options.on_progress);
  options = planned.options;
  std::vector<MemoryPlan> memory = Runner::plan_memory(model, planned.placement, options);
  return {std::move(planned.placement), std::move(memory), residency.plan.notes, 0};
}

}  // namespace strata::apps
