#include "apps/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "apps/cli/values.h"
#include "apps/layer_runs.h"
#include "backends/registry.h"
#include "runtime/core/cpus.h"
#include "runtime/core/error.h"
#include "runtime/engine/memory_text.h"
#include "runtime/weights/check_tensors.h"
#include "runtime/weights/describe.h"

namespace strata::apps {
namespace {

using cli::OptionId;

bool flag_or(const cli::Arguments& arguments, OptionId id, bool fallback) {
  return cli::option_info(id).taken_by(arguments.command()) ? arguments.flag(id) : fallback;
}

DType cache_type(const cli::Arguments& arguments, OptionId id) {
  return *dtype_of_name(arguments.text(id));
}

void refuse_bad_tensors(const ModelFile& file, Console& console) {
  const std::vector<TensorDefect> defects = check_tensors(
      file,
      [&](std::uint64_t done, std::uint64_t total) { console.progress("Checking", done, total); });
  console.progress_done();
  if (defects.empty()) return;
  throw Error(ErrorCode::bad_model, defects.front().text,
              fmt::format("{} tensor{} hold NaN or infinity", defects.size(),
                          defects.size() == 1 ? "" : "s"),
              "download or convert the model again");
}

}  // namespace

std::shared_ptr<const ModelFile> open_model_file(const cli::Arguments& arguments) {
  const std::string& path = arguments.text(OptionId::model);
  if (path.empty())
    throw Error(ErrorCode::usage, std::string(cli::command_info(arguments.command()).name),
                "no model is given", "-m FILE.gguf");
  return ModelFile::open(path, {flag_or(arguments, OptionId::mlock, false),
                                !flag_or(arguments, OptionId::mmap, true)});
}

PlannedModel plan_model(const cli::Arguments& arguments, Console& console, ContextWish wish) {
  PlannedModel planned;
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  for (const std::string& warning : file->warnings()) console.warn(warning);
  planned.model = Model::load(file);
  for (const std::string& warning : planned.model->warnings()) console.warn(warning);
  if (flag_or(arguments, OptionId::check_tensors, false)) refuse_bad_tensors(*file, console);
  planned.chosen =
      open_chosen_devices(arguments, static_cast<int>(arguments.integer(OptionId::threads)));

  RunnerOptions& options = planned.options;
  options.programs.kv.k = cache_type(arguments, OptionId::cache_type_k);
  options.programs.kv.v = cache_type(arguments, OptionId::cache_type_v);
  options.programs.max_tokens = static_cast<std::int32_t>(
      std::min(arguments.integer(OptionId::batch), arguments.integer(OptionId::micro_batch)));
  options.programs.pack_weights = flag_or(arguments, OptionId::repack, true);
  const std::int64_t trained = planned.model->config().context;
  const std::int64_t asked = arguments.integer(OptionId::context);
  const std::int64_t standard = wish.standard > 0 ? wish.standard : trained;
  options.context = asked > 0 ? asked : std::max(standard, wish.at_least);
  options.programs.max_tokens = static_cast<std::int32_t>(
      std::min<std::int64_t>(options.programs.max_tokens, options.context));
  planned.limits = asked_limits(arguments, planned.chosen);
  planned.overridden = override_layers(*planned.model, asked_overrides(arguments, *planned.model));
  for (const std::string& note : planned.overridden.notes) console.note(note);
  planned.wish = wish;
  planned.context_asked = asked > 0;
  planned.max_tokens_asked = arguments.has(OptionId::micro_batch);
  find_room(planned);
  if (options.context > trained)
    console.warn(
        fmt::format("the context of {} tokens is longer than the {} that the model was "
                    "trained for",
                    options.context, trained));
  return planned;
}

std::string model_type_text(const ModelFile& file) {
  const ModelSummary summary = summarize(file);
  return summary.types.empty() ? "no tensors" : std::string(summary.types.front().name);
}

namespace {

// "layers 0-3, 6-7 and output" of a device.
std::string layers_text(const PlannedModel& planned, const Device& device) {
  const Placement& placement = planned.placed.placement;
  std::string runs = runs_text(layer_runs(placement, device));
  const bool alone = planned.placed.memory.size() == 1;
  if (&device == placement.back().device && !alone) runs += runs.empty() ? "output" : " and output";
  return runs.empty() ? "embedding" : runs;
}

std::string device_line(const PlannedModel& planned, const Device& device,
                        const MemoryPlan& memory) {
  const DeviceInfo& info = device.info();
  const std::string stream =
      memory.stream > 0 ? " | slots " + bytes_text(memory.stream) : std::string();
  return fmt::format(
      "device  {} {} ({}, {} {}), {} free | weights {} mapped + {} packed | KV {} | compute {}{}"
      "   {}",
      to_string(info.id), info.name, info.arch, info.compute_units,
      info.id.backend == BackendKind::cpu ? "threads" : "units",
      bytes_text(usable_memory(device, planned.limits)), bytes_text(memory.weights_mapped),
      bytes_text(memory.weights_packed), bytes_text(memory.kv), bytes_text(memory.compute), stream,
      layers_text(planned, device));
}

// How much streams, and how fast that should go.
std::string stream_line(const Residency& residency) {
  const ResidencyPlan& plan = residency.plan;
  std::string text =
      fmt::format("stream  {} from the file and {} from memory each token, {} stay",
                  bytes_text(plan.bytes_of(Tier::streamed)), bytes_text(plan.bytes_of(Tier::host)),
                  bytes_text(plan.bytes_of(Tier::device)));
  if (plan.block.target_bytes > 0) text += " | units of " + bytes_text(plan.block.target_bytes);
  if (plan.expert_slots > 0)
    text += fmt::format(" | slots for {} of {} experts, which come when they are chosen",
                        plan.expert_slots, plan.coming.all);
  if (plan.experts_kept > 0) text += fmt::format(" and {} stay in memory", plan.experts_kept);
  if (plan.predicted)
    text += fmt::format(" | {:.2f} t/s predicted{}, bound by {}", 1 / plan.predicted->token_seconds,
                        plan.experts ? " for uniform routing" : "", plan.binding_link);
  return text;
}

}  // namespace

std::string plan_block(const PlannedModel& planned) {
  const ModelConfig& config = planned.model->config();
  const ModelSummary summary = summarize(planned.model->file());
  const KvFormat& kv = planned.options.programs.kv;
  std::string block = fmt::format(
      "model   {} {:.2f}M {}, {}, {} layers, ctx {} (trained {}), KV {}/token {}/{}",
      planned.model->architecture().name, static_cast<double>(summary.parameters) / 1e6,
      model_type_text(planned.model->file()), bytes_text(summary.tensor_bytes), config.layers,
      planned.options.context, config.context, bytes_text(KvCache::bytes_per_token(config, kv)),
      dtype_info(kv.k).name, dtype_info(kv.v).name);
  const std::vector<Device*> devices = planned.devices();
  for (std::size_t i = 0; i < devices.size(); ++i)
    block += "\n" + device_line(planned, *devices[i], planned.placed.memory[i]);
  if (planned.residency && planned.residency->plan.streams)
    block += "\n" + stream_line(*planned.residency);
  for (const std::string& note : planned.placed.notes) block += "\nnote    " + note;
  if (planned.context_was_cut)
    block += fmt::format(
        "\nnote    the trained context of {} tokens does not fit; using {} (-c sets it)",
        config.context, planned.options.context);
  for (const Device* device : devices) {
    const DeviceInfo& info = device->info();
    if (info.id.backend == BackendKind::cpu && info.compute_units > usable_cpus())
      block +=
          fmt::format("\nnote    {} threads take turns on the {} CPUs of this process (-t, -tb)",
                      info.compute_units, usable_cpus());
  }
  return block;
}

std::unique_ptr<Runner> load_placed(const PlannedModel& planned, Console& console) {
  if (planned.no_room) throw *planned.no_room;
  auto runner = std::make_unique<Runner>(
      planned.model, planned.placed.placement, planned.options,
      [&](std::uint64_t done, std::uint64_t total) { console.progress("Loading", done, total); });
  console.progress_done();
  return runner;
}

std::unique_ptr<Runner> load_in_place_of_lost(PlannedModel& planned, const Error& lost) {
  if (!leave_lost_device(planned, lost)) return nullptr;
  if (planned.no_room) throw *planned.no_room;
  return std::make_unique<Runner>(planned.model, planned.placed.placement, planned.options);
}

std::unique_ptr<Runner> load_runner(PlannedModel& planned, Console& console) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    console.note(plan_block(planned));
    try {
      return load_placed(planned, console);
    } catch (const Error& error) {
      console.progress_done();
      const bool refused = error.code() == ErrorCode::out_of_memory;
      if (!refused || attempt == kAttempts || !find_smaller_room(planned)) throw;
      console.warn(fmt::format("{}; planning for less memory", error.what()));
    }
  }
}

}  // namespace strata::apps
