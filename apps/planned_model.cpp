#include "apps/planned_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

void place(PlannedModel& planned) {
  planned.placed = place_resident(*planned.model, planned.chosen, planned.options,
                                  planned.overridden, planned.limits);
}

bool fits(const PlannedModel& planned) { return fits(planned.placed, planned.limits); }

// The largest whole number of pages of context whose cache fits beside the rest, on every device.
std::int64_t fitting_context(const PlannedModel& planned) {
  constexpr std::uint64_t kMargin = std::uint64_t{64} << 20;
  const ModelConfig& config = planned.model->config();
  const KvFormat& kv = planned.options.programs.kv;
  // A limit that the user sets leaves no margin.
  const std::uint64_t margin = planned.limits.device > 0 ? 0 : kMargin;
  std::uint64_t fit = std::numeric_limits<std::int32_t>::max();
  const std::vector<Device*> devices = planned.devices();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const MemoryPlan& memory = planned.placed.memory[i];
    const std::uint64_t other = memory.weights_packed + memory.compute + margin;
    const std::uint64_t free = usable_memory(*devices[i], planned.limits);
    std::int64_t layers = 0;
    for (const PlacedPart& part : planned.placed.placement)
      if (part.device == devices[i]) layers += part.cached_layers();
    const std::uint64_t page =
        KvCache::bytes_per_token(config, kv) * static_cast<std::uint64_t>(kv.page_tokens) *
        static_cast<std::uint64_t>(layers) / static_cast<std::uint64_t>(config.layers);
    if (page > 0) fit = std::min(fit, free > other ? (free - other) / page : 0);
  }
  return static_cast<std::int64_t>(std::max<std::uint64_t>(fit, 1)) * kv.page_tokens;
}

// Less context than the model was trained for, if that is still worth having: else it streams.
bool cut_context(PlannedModel& planned) {
  constexpr std::int64_t kWorthHaving = 4096;
  const std::int64_t wanted = planned.options.context;
  const std::int64_t fit = fitting_context(planned);
  const std::int64_t least = planned.chosen.must_fit
                                 ? planned.wish.at_least
                                 : std::max(planned.wish.at_least, std::min(wanted, kWorthHaving));
  if (planned.context_asked || fit >= wanted || fit < least) return false;
  planned.options.context = fit;
  place(planned);
  planned.context_was_cut = fits(planned);
  if (planned.context_was_cut) return true;
  planned.options.context = wanted;
  place(planned);
  return false;
}

void compute_on_cpu(PlannedModel& planned, const Error& why) {
  planned.chosen.gpus.clear();
  planned.chosen.cpu = &planned.chosen.host();
  planned.limits.device = 0;  // was meant for the GPU
  find_room(planned);
  planned.placed.notes.push_back(fmt::format("all layers are on the CPU: {}", why.what()));
}

void use_residency(PlannedModel& planned) {
  planned.placed = placed_residency(*planned.residency, *planned.model, planned.options);
}

// Streams, or says why not.
void stream(PlannedModel& planned) {
  const ResidencyQuestion question{
      *planned.model,     planned.chosen,        planned.limits,           planned.options,
      planned.overridden, planned.context_asked, planned.max_tokens_asked, planned.wish.at_least};
  try {
    planned.residency = plan_streaming(question);
    use_residency(planned);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::does_not_fit) throw;
    if (!planned.chosen.gpus.empty() && planned.chosen.cpu_may_help)
      compute_on_cpu(planned, error);
    else
      planned.no_room = error;
  }
}

// Layers were counted (-ngl), and there is no room for so many.
Error short_of_memory(const PlannedModel& planned) {
  const std::vector<Device*> devices = planned.devices();
  std::size_t i = 0;
  while (i + 1 < devices.size() && planned.missing(i) == 0) ++i;
  const MemoryPlan& need = planned.placed.memory[i];
  return Error(
      ErrorCode::does_not_fit, to_string(devices[i]->info().id),
      fmt::format("is {} short (needs {} = weights {} + KV {} + compute {}; may take {})",
                  bytes_text(planned.missing(i)), bytes_text(need.allocated()),
                  bytes_text(need.weights_packed), bytes_text(need.kv), bytes_text(need.compute),
                  bytes_text(usable_memory(*devices[i], planned.limits))),
      "fewer layers (-ngl), -ngl auto, or no -ngl: what does not fit is streamed then");
}

void add_up(PlannedModel& planned) {
  planned.memory = {};
  for (const MemoryPlan& part : planned.placed.memory) planned.memory += part;
}

}  // namespace

void find_room(PlannedModel& planned) {
  place(planned);
  if (!fits(planned) && !cut_context(planned)) {
    if (planned.chosen.must_fit)
      planned.no_room = short_of_memory(planned);
    else
      stream(planned);
  }
  add_up(planned);
}

bool find_smaller_room(PlannedModel& planned) {
  if (planned.chosen.must_fit) return false;
  if (planned.residency) {
    plan_smaller(*planned.residency);
    use_residency(planned);
  } else {
    // What is free was not to be had as a whole.
    const Device& device = planned.device();
    planned.limits.device = smaller_budget(usable_memory(device, planned.limits), 0);
    stream(planned);
    if (planned.no_room) return false;
  }
  add_up(planned);
  return true;
}

bool leave_lost_device(PlannedModel& planned, const Error& lost) {
  if (planned.chosen.gpus.empty() || !planned.chosen.cpu_may_help) return false;
  planned.residency.reset();
  planned.no_room.reset();
  compute_on_cpu(planned, lost);
  return true;
}

}  // namespace strata::apps
