#include "runtime/streaming/residency_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/core/memory_text.h"

namespace strata {
namespace {

std::string budget_text(std::uint64_t bytes) {
  if (bytes % (std::uint64_t{1} << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  return fmt::format("{}KiB", bytes >> 10);
}

void note_shrunk(const ResidencyRequest& request, ResidencyPlan& plan) {
  const std::string memory = bytes_text(request.budgets.device);
  const StepShape& shape = plan.shape;
  if (shape.context < request.context)
    plan.notes.push_back(fmt::format(
        "the context shrinks to {} tokens: {} tokens of cache and what runs beside it would not "
        "leave room for weights in {}; -c asks for more",
        shape.context, request.context, memory));
  if (shape.max_tokens < request.max_tokens)
    plan.notes.push_back(
        fmt::format("prompts are computed {} tokens at a time instead of {} to fit into {}",
                    shape.max_tokens, request.max_tokens, memory));
  if (plan.streams && plan.block.target_bytes < request.blocks.front().target_bytes)
    plan.notes.push_back(fmt::format("weights stream in blocks of {} instead of {}",
                                     bytes_text(plan.block.target_bytes),
                                     bytes_text(request.blocks.front().target_bytes)));
  if (shape.sequences < request.sequences)
    plan.notes.push_back(
        fmt::format("{} sequences at a time instead of {}: more would take the "
                    "room of resident weights and give fewer tokens a second",
                    shape.sequences, request.sequences));
}

int count_layers(const ResidencyRequest& request, const ResidencyPlan& plan, Tier tier) {
  int layers = 0;
  std::int32_t last = -1;
  for (std::size_t i = 0; i < plan.tiers.size(); ++i) {
    if (plan.tiers[i] != tier || request.units[i].layer == last) continue;
    if (request.units[i].part == UnitPart::output) continue;
    last = request.units[i].layer;
    ++layers;
  }
  return layers;
}

bool any_forced(const ResidencyRequest& request, Tier tier) {
  return std::ranges::any_of(request.units,
                             [&](const PlanUnit& unit) { return unit.forced == tier; });
}

void note_tiers(const ResidencyRequest& request, ResidencyPlan& plan) {
  const int cpu = count_layers(request, plan, Tier::cpu);
  if (cpu > 0 && !any_forced(request, Tier::cpu))
    plan.notes.push_back(
        fmt::format("the CPU computes {} layer{}: sooner than they could come "
                    "to {}",
                    cpu, cpu == 1 ? "" : "s", request.device));
  if (plan.streams && any_forced(request, Tier::host) && plan.bytes_of(Tier::streamed) > 0)
    plan.notes.push_back("not all that was to stay in pinned memory fits there");
  if (!plan.predicted)
    plan.notes.push_back("no prediction: not every speed that it needs is measured");
}

bool is_half(const PlanUnit& unit) {
  return unit.part == UnitPart::attention || unit.part == UnitPart::feed_forward;
}

// What is the CPU's as rules of llama.cpp's -ot, whose patterns hold no comma:
// "blk\.(0|4|7)\.=CPU,blk\.(1|2)\.ffn_=CPU".
std::string cpu_rules(const ResidencyRequest& request, const ResidencyPlan& plan,
                      bool experts_only) {
  std::string layers[3];  // whole, attention, feed-forward
  bool output = false;
  for (std::size_t i = 0; i < plan.tiers.size();) {
    bool halves[2] = {};
    const std::int32_t layer = request.units[i].layer;
    for (; i < plan.tiers.size() && request.units[i].layer == layer; ++i) {
      const UnitPart part = request.units[i].part;
      const bool on_cpu = plan.tiers[i] == Tier::cpu;
      output = output || (on_cpu && part == UnitPart::output);
      halves[0] = halves[0] || (on_cpu && part != UnitPart::feed_forward);
      halves[1] = halves[1] || (on_cpu && part != UnitPart::attention);
    }
    if (output || (!halves[0] && !halves[1])) continue;
    std::string& list = layers[halves[0] && halves[1] ? 0 : halves[0] ? 1 : 2];
    list += fmt::format("{}{}", list.empty() ? "" : "|", layer);
  }
  const char* const tensors[] = {experts_only ? ".*_exps" : "", "attn_", "ffn_"};
  std::string rules;
  for (std::size_t i = 0; i < 3; ++i)
    if (!layers[i].empty())
      rules +=
          fmt::format("{}blk\\.({})\\.{}=CPU", rules.empty() ? "" : ",", layers[i], tensors[i]);
  if (output) rules += rules.empty() ? "^output=CPU" : ",^output=CPU";
  return rules;
}

// N of -ngl N: the last so many of the layers and the output are on the device, the others, the
// first ones whole, on the CPU; -1 where the plan is not of that kind.
std::int64_t gpu_layers(const ResidencyRequest& request, const ResidencyPlan& plan) {
  std::int64_t count = 0;
  std::int32_t last = -1;
  bool device = false;
  for (std::size_t i = 0; i < plan.tiers.size(); ++i) {
    const bool on_device = plan.tiers[i] == Tier::device;
    if (is_half(request.units[i])) return -1;
    if (!on_device && (device || plan.tiers[i] != Tier::cpu)) return -1;
    device = on_device;
    if (on_device && request.units[i].layer != last) ++count;
    last = request.units[i].layer;
  }
  return count;
}

std::string flags_of(const ResidencyRequest& request, const ResidencyPlan& plan) {
  std::string flags;
  const bool whole = request.experts.all == 0;
  const bool all =
      whole && std::ranges::all_of(plan.tiers, [](Tier tier) { return tier == Tier::device; });
  const std::int64_t gpu = whole ? gpu_layers(request, plan) : -1;
  const bool has_cpu = std::ranges::find(plan.tiers, Tier::cpu) != plan.tiers.end();
  if (all) {
    flags = request.unified ? "" : "-ngl all ";
  } else if (gpu >= 0) {
    flags = fmt::format("-ngl {} ", gpu);
  } else {
    flags = fmt::format("--device-mem {} ", budget_text(request.budgets.device));
    if (has_cpu) {
      bool experts_only = true;
      for (std::size_t i = 0; i < plan.tiers.size(); ++i)
        experts_only = experts_only &&
                       (plan.tiers[i] != Tier::cpu || request.units[i].part == UnitPart::experts);
      flags += fmt::format("-ot '{}' ", cpu_rules(request, plan, experts_only));
    }
  }
  return flags + fmt::format("-c {} -ub {}", plan.shape.context, plan.shape.max_tokens);
}

std::string remedy(const ResidencyRequest& request, std::string_view budget) {
  if (budget == "pinned" || budget == "host") return "more memory for the host (--host-mem)";
  std::string text = "more device memory (--device-mem)";
  if (request.context_asked) text += ", a smaller context (-c)";
  text += ", a smaller cache (-ctk q8_0 -ctv q8_0)";
  if (any_forced(request, Tier::device)) text += ", or -ngl auto, which streams what does not fit";
  return text;
}

}  // namespace

void describe_plan(const ResidencyRequest& request, ResidencyPlan& plan) {
  note_shrunk(request, plan);
  note_tiers(request, plan);
  plan.manual_flags = flags_of(request, plan);
}

void refuse(const ResidencyRequest& request, const PlacedUnits& smallest) {
  const BudgetLack& lack = *smallest.lack;
  const DeviceNeed& need = smallest.plan.need;
  std::string detail;
  if (lack.budget == "device") {
    detail = fmt::format(
        "is {} short for a context of {}: needs {} = resident weights {} + small weights {} + KV "
        "{} + compute{} {} + slots {} + packing {}; has {}",
        bytes_text(lack.need - lack.have), smallest.plan.shape.context, bytes_text(lack.need),
        bytes_text(need.resident), bytes_text(need.small), bytes_text(need.kv),
        request.experts.all > 0 ? " and room for an expert" : "", bytes_text(need.compute),
        bytes_text(need.slots), bytes_text(need.packed), bytes_text(lack.have));
  } else {
    detail = fmt::format("needs {} of {} memory to stream weights; has {}", bytes_text(lack.need),
                         lack.budget == "pinned" ? "pinned" : "the host's", bytes_text(lack.have));
  }
  throw Error(ErrorCode::does_not_fit, request.device, detail, remedy(request, lack.budget));
}

}  // namespace strata
