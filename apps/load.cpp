#include "apps/load.h"

#include <fmt/format.h>

#include <algorithm>

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

int batch_threads(const cli::Arguments& arguments) {
  if (!cli::option_info(OptionId::threads_batch).taken_by(arguments.command())) return 0;
  return static_cast<int>(arguments.integer(OptionId::threads_batch));
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

// The largest whole number of pages of context whose cache fits beside the rest.
std::int64_t fitting_context(const MemoryPlan& memory, const Device& device, const Model& model,
                             const RunnerOptions& options) {
  constexpr std::uint64_t kMargin = std::uint64_t{64} << 20;
  const std::uint64_t other = memory.weights_packed + memory.compute + kMargin;
  const std::uint64_t free = device.memory().free;
  const KvFormat& kv = options.programs.kv;
  const std::uint64_t page =
      KvCache::bytes_per_token(model.config(), kv) * static_cast<std::uint64_t>(kv.page_tokens);
  const std::uint64_t pages = free > other ? (free - other) / page : 0;
  return static_cast<std::int64_t>(std::max<std::uint64_t>(pages, 1)) * kv.page_tokens;
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

cli::Placement asked_placement(const cli::Arguments& arguments) {
  cli::PlacementWish wish{
      arguments.text(OptionId::device), arguments.text(OptionId::gpu_layers), {}};
  if (arguments.has(OptionId::main_gpu)) wish.main_gpu = arguments.integer(OptionId::main_gpu);
  return cli::choose_devices(wish, [] { return list_devices({}); });
}

std::unique_ptr<Device> open_asked_device(const cli::Arguments& arguments, int threads) {
  const cli::Placement placement = asked_placement(arguments);
  if (placement.devices.size() > 1)
    throw Error(ErrorCode::usage, "--device",
                fmt::format("{} devices are asked for; this version computes on one",
                            placement.devices.size()),
                "--device " + to_string(placement.devices.front()));
  return open_device(to_string(placement.devices.front()), {threads, batch_threads(arguments)});
}

void refuse_split_layers(const cli::Arguments& arguments, std::int64_t layers) {
  const cli::Placement placement = asked_placement(arguments);
  if (cli::deal_layers(placement, layers).size() > placement.devices.size())
    throw Error(
        ErrorCode::usage, "-ngl",
        fmt::format("asks for {} of {} layers on a GPU; this version computes on one device",
                    *placement.gpu_layers, layers),
        "-ngl all, or -ngl 0");
}

PlannedModel plan_model(const cli::Arguments& arguments, Console& console, ContextWish wish) {
  PlannedModel planned;
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  for (const std::string& warning : file->warnings()) console.warn(warning);
  planned.model = Model::load(file);
  for (const std::string& warning : planned.model->warnings()) console.warn(warning);
  if (flag_or(arguments, OptionId::check_tensors, false)) refuse_bad_tensors(*file, console);
  planned.device =
      open_asked_device(arguments, static_cast<int>(arguments.integer(OptionId::threads)));

  refuse_split_layers(arguments, planned.model->config().layers);

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
  planned.memory =
      Runner::plan_memory(*planned.model, place_whole(*planned.model, *planned.device), options)
          .front();
  if (asked == 0) {
    const std::int64_t fit =
        fitting_context(planned.memory, *planned.device, *planned.model, options);
    if (fit < options.context && fit >= wish.at_least) {
      options.context = fit;
      planned.context_was_cut = true;
      planned.memory =
          Runner::plan_memory(*planned.model, place_whole(*planned.model, *planned.device), options)
              .front();
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

std::string plan_block(const PlannedModel& planned) {
  const ModelConfig& config = planned.model->config();
  const ModelSummary summary = summarize(planned.model->file());
  const DeviceInfo& device = planned.device->info();
  const KvFormat& kv = planned.options.programs.kv;
  std::string block = fmt::format(
      "model   {} {:.2f}M {}, {}, {} layers, ctx {} (trained {}), KV {}/token {}/{}\n",
      planned.model->architecture().name, static_cast<double>(summary.parameters) / 1e6,
      model_type_text(planned.model->file()), bytes_text(summary.tensor_bytes), config.layers,
      planned.options.context, config.context, bytes_text(KvCache::bytes_per_token(config, kv)),
      dtype_info(kv.k).name, dtype_info(kv.v).name);
  block += fmt::format(
      "device  {} {} ({}, {} threads), {} free | weights {} mapped + {} packed | KV {} | compute {}"
      "   layers 0-{}",
      to_string(device.id), device.name, device.arch, device.compute_units,
      bytes_text(planned.device->memory().free), bytes_text(planned.memory.weights_mapped),
      bytes_text(planned.memory.weights_packed), bytes_text(planned.memory.kv),
      bytes_text(planned.memory.compute), config.layers - 1);
  if (planned.context_was_cut)
    block += fmt::format(
        "\nnote    the trained context of {} tokens does not fit; using {} (-c sets it)",
        config.context, planned.options.context);
  if (device.id.backend == BackendKind::cpu && device.compute_units > usable_cpus())
    block += fmt::format("\nnote    {} threads take turns on the {} CPUs of this process (-t, -tb)",
                         device.compute_units, usable_cpus());
  return block;
}

std::unique_ptr<Runner> load_runner(const PlannedModel& planned, Console& console) {
  console.note(plan_block(planned));
  auto runner = std::make_unique<Runner>(
      planned.model, *planned.device, planned.options,
      [&](std::uint64_t done, std::uint64_t total) { console.progress("Loading", done, total); });
  console.progress_done();
  return runner;
}

}  // namespace strata::apps
