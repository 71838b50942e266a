#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "apps/commands/commands.h"
#include "apps/layer_runs.h"
#include "apps/load.h"
#include "apps/residency_report.h"
#include "backends/registry.h"
#include "runtime/engine/memory_text.h"
#include "runtime/models/tensor_names.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

// Where a model's bytes are, by part, and how many of them a decoded token reads.
struct Parts {
  std::uint64_t embedding = 0;
  std::uint64_t layers = 0;
  std::uint64_t output = 0;
  double read_per_token = 0;
  double output_read = 0;                          ///< of it by the output
  std::vector<std::array<double, 2>> layer_reads;  ///< ... by each layer's attention and the rest
};

Parts parts_of(const Model& model) {
  const ModelConfig& config = model.config();
  Parts parts;
  const double active = config.experts > 0 ? static_cast<double>(config.experts_used) /
                                                 static_cast<double>(config.experts)
                                           : 1.0;
  const bool tied = !model.weight(-1, "output.weight");
  for (const TensorRule& rule : model_tensors()) {
    const std::optional<WeightOrigin> origin = model.weight(-1, rule.name);
    if (!origin) continue;
    const bool embedding = rule.name == "token_embd.weight";
    (embedding ? parts.embedding : parts.output) += origin->bytes();
    // A lookup reads one row; as the output matrix it is read whole.
    if (!embedding || tied) parts.read_per_token += static_cast<double>(origin->bytes());
  }
  parts.output_read = parts.read_per_token;
  for (std::int32_t layer = 0; layer < config.layers; ++layer) {
    auto& halves = parts.layer_reads.emplace_back();
    for (const TensorRule& rule : model.architecture().layer_tensors) {
      const std::optional<WeightOrigin> origin = model.weight(layer, rule.name);
      if (!origin) continue;
      const bool experts = rule.shape.back() != Dim::none;
      const double read = static_cast<double>(origin->bytes()) * (experts ? active : 1.0);
      parts.layers += origin->bytes();
      parts.read_per_token += read;
      halves[rule.name.starts_with("attn_") ? 0 : 1] += read;
    }
  }
  return parts;
}

struct Prediction {
  std::vector<ResidentReads> reads;  ///< by device, in the order of PlannedModel::devices()
  double empty = 0;                  ///< tokens/s at the start of the context
  double full = 0;                   ///< tokens/s with the context full

  /// The mean rate at which weights are read.
  double bandwidth() const {
    double bytes = 0;
    for (const ResidentReads& device : reads) bytes += device.bytes_per_token;
    return bytes * empty;
  }
};

// What a device reads each token, if its weights stay where it computes with them.
ResidentReads reads_of(const PlannedModel& planned, const Parts& parts, Device& device) {
  ResidentReads reads{&device, 0, 0, 0};
  const ModelConfig& config = planned.model->config();
  const double kv =
      static_cast<double>(KvCache::bytes_per_token(config, planned.options.programs.kv)) /
      static_cast<double>(config.layers);
  for (const PlacedPart& part : planned.placed.placement) {
    if (part.device != &device) continue;
    reads.kv_bytes_per_token += part.cached_layers() * kv;
    for (std::int32_t layer = part.first_layer; layer < part.first_layer + part.layers; ++layer) {
      const auto& halves = parts.layer_reads[static_cast<std::size_t>(layer)];
      const LayerPart half = part.part_of(layer);
      if (half != LayerPart::feed_forward) reads.bytes_per_token += halves[0];
      if (half != LayerPart::attention) reads.bytes_per_token += halves[1];
    }
  }
  if (&device == &planned.device()) reads.bytes_per_token += parts.output_read;
  if (!planned.residency && reads.bytes_per_token > 0)
    reads.read_bytes_per_second = measure_ceilings(device).read_bytes_per_second;
  return reads;
}

Prediction predict(const PlannedModel& planned, const Parts& parts) {
  Prediction p;
  for (Device* device : planned.devices()) p.reads.push_back(reads_of(planned, parts, *device));
  if (planned.residency)
    for (ResidentReads& reads : p.reads)
      reads.read_bytes_per_second = reads.device == planned.residency->device
                                        ? planned.residency->request.links.device_read
                                        : planned.residency->request.links.cpu_read;
  p.empty = tokens_per_second(p.reads, 0);
  p.full = tokens_per_second(p.reads, planned.options.context);
  // Where weights stream, reading memory is not what takes the time.
  const auto& residency = planned.residency;
  if (residency && residency->plan.streams) {
    const auto& predicted = residency->plan.predicted;
    p.empty = predicted ? 1 / predicted->token_seconds : 0;
    p.full = 0;
  }
  return p;
}

std::string bound_by(const PlannedModel& planned) {
  if (!planned.residency || !planned.residency->plan.streams) return "memory bandwidth";
  return std::string(planned.residency->plan.binding_link);
}

// [[first, last], ...].
Json runs_json(const LayerRuns::Runs& runs) {
  Json rows = Json::array();
  for (const auto& [first, last] : runs) rows.push_back({first, last});
  return rows;
}

// One row per device: what is where, and what run would be short of.
Json devices_json(const PlannedModel& planned, const Prediction& p) {
  Json rows = Json::array();
  const std::vector<Device*> devices = planned.devices();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const Device& device = *devices[i];
    const double rate = p.reads[i].read_bytes_per_second;
    const MemoryUse use = device.memory();
    const LayerRuns runs = layer_runs(planned.placed.placement, device);
    Json row = {{"id", to_string(device.info().id)},
                {"name", device.info().name},
                {"total_bytes", use.total},
                {"free_bytes", usable_memory(device, planned.limits)},
                {"need_bytes", planned.placed.memory[i].total()},
                {"short_bytes", planned.missing(i)},
                {"layers", Json::array()},
                {"layer_runs", runs_json(runs.whole)},
                {"attention_runs", runs_json(runs.attention)},
                {"feed_forward_runs", runs_json(runs.feed_forward)}};
    if (!runs.whole.empty()) row["layers"] = {runs.whole.front().first, runs.whole.back().second};
    if (&device == &planned.device() || rate > 0) row["read_bytes_per_second"] = rate;
    rows.push_back(std::move(row));
  }
  return rows;
}

Json rate_json(double rate) { return rate > 0 ? Json(rate) : Json(); }

Json as_json(const PlannedModel& planned, const Parts& parts, const Prediction& p) {
  const ModelConfig& config = planned.model->config();
  Json object = {{"model",
                  {{"path", planned.model->file().path().string()},
                   {"architecture", config.architecture},
                   {"layers", config.layers},
                   {"layer_kinds", planned.model->kinds().size()},
                   {"context", planned.options.context},
                   {"trained_context", config.context}}},
                 {"bytes",
                  {{"embedding", parts.embedding},
                   {"layers", parts.layers},
                   {"output", parts.output},
                   {"kv", planned.memory.kv},
                   {"kv_per_token", KvCache::bytes_per_token(config, planned.options.programs.kv)},
                   {"compute", planned.memory.compute},
                   {"weights_mapped", planned.memory.weights_mapped},
                   {"weights_packed", planned.memory.weights_packed}}},
                 {"devices", devices_json(planned, p)},
                 {"prediction",
                  {{"bytes_per_token", parts.read_per_token},
                   {"decode_tokens_per_second", rate_json(p.empty)},
                   {"decode_tokens_per_second_full_context", rate_json(p.full)},
                   {"bound_by", bound_by(planned)}}}};
  add_residency(object, planned, p.reads);
  return object;
}

std::string names_of_caches(const PlannedModel& planned) {
  std::string names;
  const std::vector<Device*> devices = planned.devices();
  for (std::size_t i = 0; i < devices.size(); ++i)
    if (planned.placed.memory[i].kv > 0)
      names += (names.empty() ? "" : " + ") + to_string(devices[i]->info().id);
  return names;
}

std::string as_text(const PlannedModel& planned, const Parts& parts, const Prediction& p) {
  std::string text = plan_block(planned) + "\n\n";
  const auto row = [&](std::string_view part, std::uint64_t bytes, std::string_view where) {
    text += fmt::format("{:<12} {:>12}   {}\n", part, bytes_text(bytes), where);
  };
  const auto id_of = [](const PlacedPart& part) { return to_string(part.device->info().id); };
  std::string devices;
  for (const Device* device : planned.devices())
    devices += (devices.empty() ? "" : " + ") + to_string(device->info().id);
  row("embedding", parts.embedding,
      id_of(planned.placed.placement.front()) + ", mapped, rows looked up");
  row("layers", parts.layers,
      fmt::format("{}, {} layers of {} kind{}", devices, planned.model->config().layers,
                  planned.model->kinds().size(), planned.model->kinds().size() == 1 ? "" : "s"));
  row("output", parts.output, id_of(planned.placed.placement.back()));
  row("KV cache", planned.memory.kv,
      fmt::format("{}, {} tokens", names_of_caches(planned), planned.options.context));
  row("compute", planned.memory.compute, devices);
  text += residency_text(planned);
  if (planned.residency && planned.residency->plan.streams) return text;
  text += fmt::format(
      "\ndecode <= {:.1f} t/s empty, {:.1f} t/s at {} tokens ({} per token at {:.1f} GB/s read, "
      "measured)\n",
      p.empty, p.full, planned.options.context,
      bytes_text(static_cast<std::uint64_t>(parts.read_per_token)), p.bandwidth() * 1e-9);
  return text;
}

}  // namespace

int plan_command(const cli::Arguments& arguments, Console& console) {
  const PlannedModel planned = plan_model(arguments, console, {});
  if (planned.no_room)
    console.warn(
        fmt::format("does not fit: {}; try {}", planned.no_room->what(), planned.no_room->hint()));
  const Parts parts = parts_of(*planned.model);
  const Prediction prediction = predict(planned, parts);
  for (std::size_t i = 0; i < planned.placed.memory.size(); ++i)
    if (const std::uint64_t missing = planned.missing(i); missing > 0 && !planned.no_room)
      console.warn(
          fmt::format("does not fit: {} is {} short; try a smaller -c or -ctk q8_0 -ctv q8_0",
                      to_string(planned.devices()[i]->info().id), bytes_text(missing)));
  write_result(arguments.flag(OptionId::json) ? as_json(planned, parts, prediction).dump(2) + "\n"
                                              : as_text(planned, parts, prediction));
  return 0;
}

}  // namespace strata::apps
