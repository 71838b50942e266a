#include "apps/residency_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "apps/layer_runs.h"
#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

using Json = nlohmann::ordered_json;

// What is in one tier.
struct TierRow {
  std::string_view name;
  std::int64_t layers = 0;           ///< all of whose matrices are there
  std::int64_t attention = 0;        ///< of so many others the attention alone is
  std::int64_t feed_forward = 0;     ///< ... or the feed-forward half alone
  std::int64_t parts_of_layers = 0;  ///< of so many others some are
  bool output = false;               ///< or a part of it
  std::uint64_t bytes = 0;           ///< of matrices, in the file
};
using TierTable = std::array<TierRow, 4>;

TierTable empty_table() {
  TierTable table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i].name = tier_name(static_cast<Tier>(i));
  return table;
}

// What counts a layer, or a half of one.
std::int64_t& count_of(TierRow& row, bool one_tier, UnitPart part) {
  if (!one_tier) return row.parts_of_layers;
  return part == UnitPart::attention      ? row.attention
         : part == UnitPart::feed_forward ? row.feed_forward
                                          : row.layers;
}

TierTable tiers_of(const Residency& residency) {
  const ResidencyPlan& plan = residency.plan;
  TierTable table = empty_table();
  const std::vector<PlanUnit>& units = residency.request.units;
  for (std::size_t i = 0; i < units.size();) {
    std::set<Tier> tiers;
    const std::int32_t layer = units[i].layer;
    const UnitPart part = units[i].part;
    const bool half = part == UnitPart::attention || part == UnitPart::feed_forward;
    const auto together = [&](const PlanUnit& unit) {
      return unit.layer == layer && (!half || unit.part == part);
    };
    for (; i < units.size() && together(units[i]); ++i) tiers.insert(plan.tiers[i]);
    for (const Tier tier : tiers) {
      TierRow& row = table[static_cast<std::size_t>(tier)];
      if (part == UnitPart::output)
        row.output = true;
      else
        ++count_of(row, tiers.size() == 1, part);
    }
  }
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i].bytes = plan.bytes_of(static_cast<Tier>(i));
  return table;
}

// Of a model that is in memory as a whole.
TierTable tiers_of(const PlannedModel& planned) {
  TierTable table = empty_table();
  const auto row_of = [&](const Device& device) -> TierRow& {
    const bool cpu = device.info().id.backend == BackendKind::cpu;
    return table[static_cast<std::size_t>(cpu && !planned.chosen.gpus.empty() ? Tier::cpu
                                                                              : Tier::device)];
  };
  row_of(planned.device()).output = true;
  const std::vector<Device*> devices = planned.devices();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const LayerRuns runs = layer_runs(planned.placed.placement, *devices[i]);
    TierRow& row = row_of(*devices[i]);
    row.layers += count_layers(runs.whole);
    row.attention += count_layers(runs.attention);
    row.feed_forward += count_layers(runs.feed_forward);
    row.bytes += planned.placed.memory[i].weights_mapped + planned.placed.memory[i].weights_packed;
  }
  return table;
}

TierTable table_of(const PlannedModel& planned) {
  return planned.residency ? tiers_of(*planned.residency) : tiers_of(planned);
}

Json or_null(double value) { return value > 0 ? Json(value) : Json(); }

Json experts_json(const ResidencyPlan& plan) {
  if (plan.expert_slots == 0) return nullptr;
  return {{"slots", plan.expert_slots},           {"experts", plan.coming.all},
          {"used_by_token", plan.coming.token},   {"device_bytes", plan.need.experts},
          {"file_bytes", plan.coming.file_bytes}, {"kept_on_host", plan.experts_kept}};
}

// What a prediction assumes of experts that are chosen at run time.
Json assumed_json(const ResidencyPlan& plan) {
  if (!plan.experts) return nullptr;
  const ExpertEstimate& experts = *plan.experts;
  return {{"assumption", "uniform routing"},
          {"hit_rate", experts.hit_rate},
          {"kept_rate", experts.kept_rate},
          {"sweep_seconds_without_hits", experts.longest_step_seconds()},
          {"sweep_seconds_with_hits_only", experts.step_seconds(1, 1)}};
}

Json stream_json(const Residency& residency) {
  const ResidencyPlan& plan = residency.plan;
  return {{"unit_bytes", plan.block.target_bytes}, {"device_slots", plan.slots},
          {"device_slot_bytes", plan.need.slots},  {"ring_slots", plan.ring_slots},
          {"packed_bytes", plan.need.packed},      {"file_layout", plan.block.file_layout},
          {"pinned_bytes", plan.pinned_bytes},     {"host_bytes", plan.host_bytes},
          {"prompt_chunk", plan.shape.max_tokens}, {"experts", experts_json(plan)}};
}

Json links_json(const ResidencyPlan& plan) {
  Json links = Json::array();
  for (const LinkUse& link : plan.links)
    links.push_back({{"name", link.name},
                     {"bytes_per_token", link.bytes},
                     {"limit_bytes_per_second", or_null(link.limit)},
                     {"busy_seconds", link.busy_seconds ? Json(*link.busy_seconds) : Json()}});
  return links;
}

// The memory of the CPU where others compute too, or of the device.
std::string_view link_name(const PlannedModel& planned, const Device& device) {
  const bool cpu = device.info().id.backend == BackendKind::cpu;
  return cpu && !planned.chosen.gpus.empty() ? "cpu" : "device";
}

Json resident_links(const PlannedModel& planned, std::span<const ResidentReads> resident) {
  Json links = Json::array();
  for (const ResidentReads& reads : resident)
    links.push_back(
        {{"name", link_name(planned, *reads.device)},
         {"bytes_per_token", reads.bytes_per_token},
         {"limit_bytes_per_second", or_null(reads.read_bytes_per_second)},
         {"busy_seconds", reads.read_bytes_per_second > 0 ? Json(reads.seconds()) : Json()}});
  return links;
}

void add_prediction(Json& prediction, const ResidencyPlan& plan) {
  const auto& predicted = plan.predicted;
  const auto value = [&](double PredictedSweep::* field) {
    return predicted ? Json((*predicted).*field) : Json();
  };
  prediction["tokens_per_second"] = predicted ? or_null(1 / predicted->token_seconds) : Json();
  prediction["sweep_seconds"] = value(&PredictedSweep::sweep_seconds);
  prediction["first_sweep_seconds"] = value(&PredictedSweep::first_sweep_seconds);
  prediction["stall_seconds"] = value(&PredictedSweep::compute_stall_seconds);
  prediction["prompt_sweep_seconds"] = predicted && predicted->prompt_sweep_seconds
                                           ? Json(*predicted->prompt_sweep_seconds)
                                           : Json();
  prediction["experts"] = assumed_json(plan);
  prediction["binding_link"] = plan.binding_link.empty() ? Json() : Json(plan.binding_link);
}

// The options that ask for what was chosen.
std::string manual_flags(const PlannedModel& planned) {
  if (planned.residency) return planned.residency->plan.manual_flags;
  const std::vector<Device*>& gpus = planned.chosen.gpus;
  std::string flags = "--device ";
  for (const Device* gpu : gpus)
    flags += (gpu == gpus.front() ? "" : ",") + to_string(gpu->info().id);
  if (gpus.empty()) flags += to_string(planned.device().info().id);
  const std::int64_t all = planned.model->config().layers + 1;
  if (!gpus.empty()) flags += fmt::format(" -ngl {}", std::min(planned.placed.gpu_layers, all));
  const std::string rules =
      override_text(planned.overridden, planned.model->file().is_hugging_face());
  if (!rules.empty()) flags += fmt::format(" -ot '{}'", rules);
  return flags +
         fmt::format(" -c {} -ub {}", planned.options.context, planned.options.programs.max_tokens);
}

std::string tier_line(const TierRow& row) {
  std::string what;
  const auto add = [&what](std::string_view kind, std::int64_t layers) {
    if (layers > 0)
      what += fmt::format("{}{}{} layer{}", what.empty() ? "" : ", ", kind, layers,
                          layers == 1 ? "" : "s");
  };
  add("", row.layers);
  add("attention of ", row.attention);
  add("feed-forward of ", row.feed_forward);
  add("parts of ", row.parts_of_layers);
  if (row.output) what += what.empty() ? "the output" : " and the output";
  return fmt::format("{:<12} {:>12}   {}\n", row.name, bytes_text(row.bytes),
                     what.empty() ? "nothing" : what);
}

std::string link_line(const LinkUse& link) {
  const std::string limit =
      link.limit > 0 ? fmt::format("{:.2f} GB/s", link.limit * 1e-9) : "not measured";
  const std::string busy =
      link.busy_seconds ? fmt::format("{:.1f} ms", *link.busy_seconds * 1e3) : std::string("-");
  return fmt::format("{:<12} {:>12} {:>14} {:>12}\n", link.name,
                     bytes_text(static_cast<std::uint64_t>(link.bytes)), limit, busy);
}

std::string expert_lines(const Residency& residency) {
  const ResidencyPlan& plan = residency.plan;
  const ExpertCount& experts = plan.coming;
  std::string text = fmt::format(
      "{:<12} {:>12}   {} slots in {} on {} for {}, of which a token uses {}\n", "experts",
      bytes_text(experts.file_bytes), plan.expert_slots, bytes_text(plan.need.experts),
      residency.request.device, experts.all, experts.token);
  if (plan.experts_kept > 0)
    text += fmt::format("{:<12} {:>12}   {} of them stay in pinned memory once they are read\n", "",
                        bytes_text(plan.pinned_bytes), plan.experts_kept);
  return text;
}

// A prediction of experts that nobody has chosen yet is as good as what it assumes.
std::string assumed_lines(const ExpertEstimate& experts) {
  std::string text =
      fmt::format("assumed: every expert is chosen as often, so that {:.0f} % are in a slot",
                  100 * experts.hit_rate);
  if (experts.kept_rate > 0)
    text += fmt::format(" and {:.0f} % of the others in pinned memory", 100 * experts.kept_rate);
  return text + fmt::format("; from {:.1f} ms if all are to {:.1f} ms if none is\n",
                            experts.step_seconds(1, 1) * 1e3, experts.longest_step_seconds() * 1e3);
}

std::string stream_lines(const Residency& residency) {
  const ResidencyPlan& plan = residency.plan;
  std::string text = plan.expert_slots > 0 ? expert_lines(residency) : std::string();
  if (plan.block.target_bytes > 0)
    text += fmt::format(
        "stream       units of {}, {} slots on {}, {} in the ring{}; prompts in chunks of {} "
        "tokens\n",
        bytes_text(plan.block.target_bytes), plan.slots, residency.request.device, plan.ring_slots,
        plan.block.file_layout ? ", computed in the file's layout" : "", plan.shape.max_tokens);
  text += "\nlink          bytes/token          limit   busy/token\n";
  for (const LinkUse& link : plan.links) text += link_line(link);
  if (!plan.predicted) return text + "\nno prediction: not all links were measured\n";
  text += fmt::format(
      "\ndecode {:.2f} t/s, {:.1f} ms a token, of which computing waits {:.1f} ms; bound by: {}\n",
      1 / plan.predicted->token_seconds, plan.predicted->token_seconds * 1e3,
      plan.predicted->compute_stall_seconds * 1e3, plan.binding_link);
  return plan.experts ? text + assumed_lines(*plan.experts) : text;
}

}  // namespace

double tokens_per_second(std::span<const ResidentReads> reads, std::int64_t context) {
  double seconds = 0;
  for (const ResidentReads& device : reads) {
    if (device.bytes_per_token > 0 && device.read_bytes_per_second <= 0) return 0;
    seconds += device.seconds(context);
  }
  return seconds > 0 ? 1 / seconds : 0;
}

void add_residency(Json& object, const PlannedModel& planned,
                   std::span<const ResidentReads> resident) {
  Json tiers;
  for (const TierRow& row : table_of(planned))
    tiers[std::string(row.name)] = {{"layers", row.layers},
                                    {"attention", row.attention},
                                    {"feed_forward", row.feed_forward},
                                    {"parts_of_layers", row.parts_of_layers},
                                    {"output", row.output},
                                    {"bytes", row.bytes}};
  object["tiers"] = std::move(tiers);
  object["stream"] = nullptr;
  object["links"] = resident_links(planned, resident);
  object["manual_flags"] = manual_flags(planned);
  object["notes"] = planned.placed.notes;
  Json& prediction = object["prediction"];
  if (planned.residency) {
    const ResidencyPlan& plan = planned.residency->plan;
    if (plan.streams) object["stream"] = stream_json(*planned.residency);
    object["links"] = links_json(plan);
    add_prediction(prediction, plan);
  } else {
    const double rate = tokens_per_second(resident, 0);
    const auto longest = std::ranges::max_element(
        resident, {}, [](const ResidentReads& reads) { return reads.seconds(); });
    prediction["tokens_per_second"] = or_null(rate);
    prediction["binding_link"] = rate > 0 ? Json(link_name(planned, *longest->device)) : Json();
  }
}

std::string residency_text(const PlannedModel& planned) {
  std::string text = "\ntier                bytes   what\n";
  for (const TierRow& row : table_of(planned)) text += tier_line(row);
  if (planned.residency && planned.residency->plan.streams)
    text += stream_lines(*planned.residency);
  return text + fmt::format("flags        {}\n", manual_flags(planned));
}

}  // namespace strata::apps
