#include "apps/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "apps/cli/values.h"
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

// The largest whole number of pages of context whose cache fits beside the rest, on every device.
std::int64_t fitting_context(const PlannedModel& planned) {
  constexpr std::uint64_t kMargin = std::uint64_t{64} << 20;
  const ModelConfig& config = planned.model->config();
  const KvFormat& kv = planned.options.programs.kv;
  std::uint64_t fit = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < planned.placed.placement.size(); ++i) {
    const PlacedPart& part = planned.placed.placement[i];
    const MemoryPlan& memory = planned.placed.memory[i];
    const std::uint64_t other = memory.weights_packed + memory.compute + kMargin;
    const std::uint64_t free = part.device->memory().free;
    const std::uint64_t page =
        KvCache::bytes_per_token(config, kv) * static_cast<std::uint64_t>(kv.page_tokens) *
        static_cast<std::uint64_t>(part.layers) / static_cast<std::uint64_t>(config.layers);
    if (page > 0) fit = std::min(fit, free > other ? (free - other) / page : 0);
  }
  return static_cast<std::int64_t>(std::max<std::uint64_t>(fit, 1)) * kv.page_tokens;
}

void place(PlannedModel& planned) {
  planned.placed = place_model(*planned.model, planned.chosen, planned.options);
  planned.memory = {};
  for (const MemoryPlan& part : planned.placed.memory) planned.memory += part;
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
  place(planned);
  if (asked == 0) {
    const std::int64_t fit = fitting_context(planned);
    if (fit < options.context && fit >= wish.at_least) {
      options.context = fit;
      planned.context_was_cut = true;
      place(planned);
    }
  }
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

std::string layers_text(const PlannedModel& planned, std::size_t index) {
  const PlacedPart& part = planned.placed.placement[index];
  const bool last = index + 1 == planned.placed.placement.size();
  const std::string output = last && planned.placed.placement.size() > 1 ? "output" : "";
  if (part.layers == 0) return output.empty() ? "embedding" : output;
  return fmt::format("layers {}-{}{}", part.first_layer, part.first_layer + part.layers - 1,
                     output.empty() ? "" : " and output");
}

std::string device_line(const PlannedModel& planned, std::size_t index) {
  const Device& device = *planned.placed.placement[index].device;
  const MemoryPlan& memory = planned.placed.memory[index];
  const DeviceInfo& info = device.info();
  return fmt::format(
      "device  {} {} ({}, {} {}), {} free | weights {} mapped + {} packed | KV {} | compute {}"
      "   {}",
      to_string(info.id), info.name, info.arch, info.compute_units,
      info.id.backend == BackendKind::cpu ? "threads" : "units", bytes_text(device.memory().free),
      bytes_text(memory.weights_mapped), bytes_text(memory.weights_packed), bytes_text(memory.kv),
      bytes_text(memory.compute), layers_text(planned, index));
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
  for (std::size_t i = 0; i < planned.placed.placement.size(); ++i)
    block += "\n" + device_line(planned, i);
  if (!planned.placed.note.empty()) block += "\nnote    " + planned.placed.note;
  if (planned.context_was_cut)
    block += fmt::format(
        "\nnote    the trained context of {} tokens does not fit; using {} (-c sets it)",
        config.context, planned.options.context);
  for (const PlacedPart& part : planned.placed.placement) {
    const DeviceInfo& info = part.device->info();
    if (info.id.backend == BackendKind::cpu && info.compute_units > usable_cpus())
      block +=
          fmt::format("\nnote    {} threads take turns on the {} CPUs of this process (-t, -tb)",
                      info.compute_units, usable_cpus());
  }
  return block;
}

std::unique_ptr<Runner> load_runner(const PlannedModel& planned, Console& console) {
  console.note(plan_block(planned));
  auto runner = std::make_unique<Runner>(
      planned.model, planned.placed.placement, planned.options,
      [&](std::uint64_t done, std::uint64_t total) { console.progress("Loading", done, total); });
  console.progress_done();
  return runner;
}

}  // namespace strata::apps
