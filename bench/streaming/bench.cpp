#include "bench/streaming/bench.h"

#include <algorithm>
#include <chrono>

#include "backends/registry.h"
#include "backends/sim/sim_device.h"
#include "backends/sim_disk/sim_disk.h"
#include "runtime/core/error.h"
#include "runtime/engine/measure_links.h"

namespace strata::bench {
namespace {

using Clock = std::chrono::steady_clock;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::unique_ptr<Device> open_budgeted(const Options& options, std::uint64_t budget) {
  if (options.upload <= 0) return open_device(options.device, {options.threads, 0, budget});
  sim::SimOptions sim;
  sim.memory_bytes = budget;
  sim.late = false;
  sim.speeds = sim::DeviceSpeeds{};
  sim.speeds->upload = {options.upload, 10'000, 0};
  // A device that computes ten times as fast as weights come to it.
  sim.speeds->device_bytes_per_second = 10 * options.upload;
  return std::make_unique<sim::SimDevice>(open_device("cpu", {options.threads}), sim);
}

sim::VirtualClock* clock_of(Device& device) {
  auto* const sim = dynamic_cast<sim::SimDevice*>(&device);
  return sim == nullptr ? nullptr : sim->clock();
}

/// One way to have the model: a device with a budget, and a Runner in it.
class Setup {
 public:
  Setup(const Options& options, std::shared_ptr<const Model> model, Device& cpu,
        std::uint64_t budget, const MeasuredLinks& links, bool mapping = false)
      : options_(options), model_(std::move(model)), device_(open_budgeted(options, budget)) {
    row_.budget = budget;
    row_.mapping = mapping;
    RunnerOptions runner;
    runner.context = options.prompt + options.rounds * options.tokens + 1;
    runner.programs.max_tokens = static_cast<std::int32_t>(options.prompt);
    runner.programs.pack_weights = !mapping;
    runner.stream.method = links.method;
    if (options.disk > 0) runner.stream.wrap_reader = [this](auto reader) { return timed(reader); };
    Placement placement = place_whole(*model_, *device_);
    if (budget > 0) stream(runner, placement, cpu, links.speeds);
    row_.memory = Runner::plan_memory(*model_, placement, runner).back();
    runner_ = std::make_unique<Runner>(model_, placement, runner);
    sequence_ = runner_->pool().open();
    std::vector<std::int32_t> prompt;
    for (std::int64_t i = 0; i < options.prompt; ++i)
      prompt.push_back(static_cast<std::int32_t>(i % model_->config().vocab));
    step(prompt);
  }

  /// Decodes the tokens of a round.
  void round() {
    const StreamStats before = runner_->stream_stats();
    const std::int64_t idle_before = virtual_idle();
    const double begin = now();
    for (std::int64_t i = 0; i < options_.tokens; ++i)
      step({static_cast<std::int32_t>(i % model_->config().vocab)});
    const double seconds = now() - begin;
    const StreamStats after = runner_->stream_stats();
    const auto tokens = static_cast<double>(options_.tokens);
    seconds_.push_back(seconds / tokens);
    const double waited = clock_of(*device_) != nullptr
                              ? static_cast<double>(virtual_idle() - idle_before)
                              : static_cast<double>(after.io_wait_ns - before.io_wait_ns +
                                                    after.copy_wait_ns - before.copy_wait_ns);
    stalls_.push_back(waited * 1e-9 / seconds);
    disk_.push_back(static_cast<double>(after.bytes_read - before.bytes_read) / tokens);
    upload_.push_back(static_cast<double>(after.bytes_uploaded - before.bytes_uploaded) / tokens);
  }

  Row row(const LinkSpeeds& links) {
    row_.token_seconds = median(seconds_);
    row_.disk_bytes = median(disk_);
    row_.upload_bytes = median(upload_);
    if (!row_.plan) return row_;
    row_.stall = median(stalls_);
    if (row_.plan->predicted) row_.predicted = row_.plan->predicted->token_seconds;
    double least = 0;
    if (links.disk > 0) least = std::max(least, row_.disk_bytes / links.disk);
    if (links.upload > 0) least = std::max(least, row_.upload_bytes / links.upload);
    for (const LinkUse& link : row_.plan->links)
      if (link.name == "device" && link.limit > 0) least = std::max(least, link.bytes / link.limit);
    if (least > 0) row_.least = least;
    return row_;
  }

 private:
  void stream(RunnerOptions& runner, Placement& placement, Device& cpu, const LinkSpeeds& links) {
    ResidencyWish wish;
    wish.options = runner;
    wish.context_asked = true;
    wish.max_tokens_asked = true;
    const std::uint64_t host = options_.host > 0 ? options_.host : cpu.memory().free / 2;
    wish.budgets = {row_.budget, options_.host > 0 ? host : host / 2, host};
    wish.links = links;
    Device* const head = device_->info().unified ? device_.get() : &cpu;
    const ResidencyRequest request = make_residency_request(*model_, *device_, head, wish);
    row_.plan = plan_residency(request);
    PlannedResidency planned = apply_residency(request, *row_.plan, *device_, head, runner);
    runner = planned.options;
    placement = std::move(planned.placement);
  }

  std::unique_ptr<BlockReader> timed(std::unique_ptr<BlockReader>& reader) const {
    constexpr std::int64_t kLatency = 100'000;
    return std::make_unique<sim::SimDisk>(std::move(reader), *clock_of(*device_),
                                          sim::DiskOptions{.speed = {options_.disk, kLatency, 0}});
  }

  double now() const {
    if (sim::VirtualClock* clock = clock_of(*device_))
      return static_cast<double>(clock->host_ns()) * 1e-9;
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  }

  // How long no kernel has run.
  std::int64_t virtual_idle() const {
    sim::VirtualClock* const clock = clock_of(*device_);
    if (clock == nullptr) return 0;
    const sim::ClockReading reading = clock->read();
    return reading.host_ns - reading.busy(sim::Engine::compute);
  }

  void step(const std::vector<std::int32_t>& tokens) {
    std::vector<BatchToken> batch;
    const auto first = static_cast<std::int32_t>(runner_->pool().length(sequence_));
    if (!runner_->pool().extend(sequence_, static_cast<std::int64_t>(tokens.size())))
      throw Error(ErrorCode::runtime, "cache", "has no room for the rounds");
    for (std::size_t i = 0; i < tokens.size(); ++i)
      batch.push_back(
          {tokens[i], sequence_, first + static_cast<std::int32_t>(i), i + 1 == tokens.size()});
    runner_->step(batch, [](std::size_t, std::span<const float>) {});
  }

  const Options& options_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Runner> runner_;
  std::int32_t sequence_ = -1;
  Row row_;
  std::vector<double> seconds_, stalls_, disk_, upload_;
};

// What a simulated device was told; in its time the CPU takes none.
MeasuredLinks links_now(const Options& options, const Model& model, Device& device, Device& cpu) {
  constexpr double kAtOnce = 1e15;
  MeasuredLinks links;
  if (options.upload <= 0) {
    links = measure_links(model, device, cpu, {});
    if (options.method) links.read_by(*options.method);
    return links;
  }
  links.speeds = {options.disk > 0 ? options.disk : kAtOnce,
                  kAtOnce,
                  options.upload,
                  10 * options.upload,
                  kAtOnce,
                  kAtOnce,
                  kAtOnce,
                  10 * options.upload};
  return links;
}

LinkSpeeds medians(const std::vector<LinkSpeeds>& all) {
  const auto of = [&](double LinkSpeeds::* field) {
    std::vector<double> values;
    for (const LinkSpeeds& links : all) values.push_back(links.*field);
    return median(std::move(values));
  };
  return {of(&LinkSpeeds::disk),        of(&LinkSpeeds::host_copy), of(&LinkSpeeds::upload),
          of(&LinkSpeeds::device_read), of(&LinkSpeeds::cpu_read),  of(&LinkSpeeds::device_flops),
          of(&LinkSpeeds::cpu_flops)};
}

std::vector<std::uint64_t> budgets_of(const Options& options, const Model& model, Device& device) {
  if (!options.budgets.empty()) return options.budgets;
  RunnerOptions runner;
  runner.context = options.prompt + options.rounds * options.tokens + 1;
  runner.programs.max_tokens = static_cast<std::int32_t>(options.prompt);
  const std::uint64_t whole =
      Runner::plan_memory(model, place_whole(model, device), runner).back().allocated();
  return {whole / 4 * 3, whole / 2, whole / 4};
}

}  // namespace

Result measure(const Options& options) {
  const std::shared_ptr<const Model> model = Model::load(ModelFile::open(options.model));
  const std::unique_ptr<Device> cpu = open_device("cpu", {options.threads});
  const std::unique_ptr<Device> free = open_budgeted(options, 0);
  Result result;
  result.model = options.model;
  result.device = to_string(free->info().id);
  result.virtual_time = options.upload > 0;
  const MeasuredLinks first = links_now(options, *model, *free, *cpu);
  std::vector<std::unique_ptr<Setup>> setups;
  const auto add = [&](std::uint64_t budget, bool mapping = false) {
    setups.push_back(std::make_unique<Setup>(options, model, *cpu, budget, first, mapping));
  };
  if (options.resident) add(0);
  if (options.mapping) add(0, true);
  for (const std::uint64_t budget : budgets_of(options, *model, *free)) add(budget);
  // In turns, so that what others do to the machine meanwhile touches all alike.
  std::vector<LinkSpeeds> links = {first.speeds};
  for (std::int64_t round = 0; round < options.rounds; ++round) {
    for (const auto& setup : setups) setup->round();
    links.push_back(links_now(options, *model, *free, *cpu).speeds);
  }
  result.links = medians(links);
  for (const auto& setup : setups) result.rows.push_back(setup->row(result.links));
  return result;
}

}  // namespace strata::bench
