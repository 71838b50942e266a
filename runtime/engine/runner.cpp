#include "runtime/engine/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/engine/memory_text.h"

namespace strata {
namespace {

// Page ids are int32 in the step block.
void check_extents(const RunnerOptions& options) {
  const std::int64_t page = options.programs.kv.page_tokens;
  const std::int64_t pages = (options.context + page - 1) / page;
  const bool sane = options.context > 0 && options.max_sequences > 0 &&
                    options.programs.max_tokens > 0 &&
                    pages <= std::numeric_limits<std::int32_t>::max() / options.max_sequences;
  if (!sane)
    throw Error(ErrorCode::bad_request, "context",
                fmt::format("of {} tokens for {} sequences in steps of {} cannot be",
                            options.context, options.max_sequences, options.programs.max_tokens));
}

void check_fit(Device& device, const MemoryPlan& need) {
  const std::uint64_t free = device.memory().free;
  const std::uint64_t missing = need.missing(free);
  if (missing == 0) return;
  throw Error(
      ErrorCode::does_not_fit, to_string(device.info().id),
      fmt::format("is {} short (needs {} = packed weights {} + KV {} + compute {}; free {})",
                  bytes_text(missing), bytes_text(need.allocated()),
                  bytes_text(need.weights_packed), bytes_text(need.kv), bytes_text(need.compute),
                  bytes_text(free)),
      device.info().unified
          ? "a smaller context (-c), a smaller cache (-ctk q8_0 -ctv q8_0) or --no-repack"
          : "a smaller context (-c), a smaller cache (-ctk q8_0 -ctv q8_0), or -ngl auto, which "
            "leaves "
            "to the CPU what does not fit");
}

// A stage per device, in the order of devices_of().
std::vector<std::unique_ptr<Stage>> make_stages(const Model& model, const Placement& placement,
                                                const RunnerOptions& options) {
  check_extents(options);
  KvCache::check(model.config(), options.programs.kv);
  std::vector<std::unique_ptr<Stage>> stages;
  for (Device* device : devices_of(placement)) {
    std::vector<StagePart> parts;
    for (std::size_t i = 0; i < placement.size(); ++i)
      if (placement[i].device == device)
        parts.push_back({placement[i], i == 0, i + 1 == placement.size()});
    stages.push_back(std::make_unique<Stage>(model, *device, std::move(parts), options));
  }
  return stages;
}

}  // namespace

Runner::Runner(std::shared_ptr<const Model> model, Device& device, const RunnerOptions& options,
               const Progress& progress)
    : Runner(model, place_whole(*model, device), options, progress) {}

Runner::Runner(std::shared_ptr<const Model> model, const Placement& placement,
               const RunnerOptions& options, const Progress& progress)
    : model_(std::move(model)),
      options_(options),
      stages_(make_stages(*model_, placement, options)),
      pool_(KvCache::make_pool(options.programs.kv, options.kv_extent())) {
  const std::vector<Device*> devices = devices_of(placement);
  std::vector<std::size_t> parts(devices.size(), 0);
  for (const PlacedPart& part : placement) {
    const auto at = static_cast<std::size_t>(
        std::find(devices.begin(), devices.end(), part.device) - devices.begin());
    hops_.push_back({stages_[at].get(), parts[at]++});
  }
  for (const auto& stage : stages_) check_fit(stage->device(), stage->memory());
  for (const auto& stage : stages_) stage->load(progress);
  model_->file().require_intact();
  if (streams()) expect_few_embeddings();
  wanted_.reserve(static_cast<std::size_t>(max_tokens()));
}

// Rows are looked up here and there; where memory is short, what a touch would bring around them
// costs more than all that streams.
void Runner::expect_few_embeddings() const {
  const std::optional<WeightOrigin> table = model_->weight(-1, "token_embd.weight");
  if (!table) return;
  if (const auto place = model_->file().place_of(table->data))
    model_->file().shards()[place->shard].expect_random(place->offset, table->data.size());
}

std::vector<MemoryPlan> Runner::plan_memory(const Model& model, const Placement& placement,
                                            const RunnerOptions& options) {
  std::vector<MemoryPlan> plans;
  for (const auto& stage : make_stages(model, placement, options)) plans.push_back(stage->memory());
  return plans;
}

MemoryPlan Runner::memory() const {
  MemoryPlan total;
  for (const auto& stage : stages_) total += stage->memory();
  return total;
}

bool Runner::streams() const {
  return std::any_of(stages_.begin(), stages_.end(),
                     [](const auto& stage) { return stage->weights().streams(); });
}

StreamStats Runner::stream_stats() const {
  StreamStats total;
  for (const auto& stage : stages_) total += stage->weights().stats();
  return total;
}

void Runner::set_trace(std::vector<OpSample>* trace) {
  for (const auto& stage : stages_) stage->set_trace(trace);
}

void Runner::check_batch(std::span<const BatchToken> batch) const {
  if (batch.empty() || batch.size() > static_cast<std::size_t>(max_tokens()))
    throw Error(ErrorCode::bad_request, "batch",
                fmt::format("has {} tokens, expected 1 to {}", batch.size(), max_tokens()));
  for (const BatchToken& t : batch) {
    if (t.token < 0 || t.token >= model_->config().vocab)
      throw Error(ErrorCode::bad_request, "token",
                  fmt::format("id {} is not in the vocabulary (0 to {})", t.token,
                              model_->config().vocab - 1));
    const bool slot = t.sequence >= 0 && t.sequence < options_.max_sequences;
    if (!slot || t.position < 0 || t.position >= pool_.length(t.sequence))
      throw Error(ErrorCode::bad_request, "batch",
                  fmt::format("position {} of sequence {} has no place in the cache", t.position,
                              t.sequence));
  }
}

// The step block goes to every stage; what the last one wants more is added by write_wanted.
void Runner::write_step(std::span<const BatchToken> batch) {
  wanted_.clear();
  StepState& step = stages_.front()->step();
  step.token_count = static_cast<std::int32_t>(batch.size());
  step.row_count = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    step.tokens()[i] = batch[i].token;
    step.positions()[i] = batch[i].position;
    step.sequences()[i] = batch[i].sequence;
    if (batch[i].wants_logits) wanted_.push_back(static_cast<std::int32_t>(i));
    if (i > 0 && batch[i].sequence == batch[i - 1].sequence) continue;
    const std::span<const std::int32_t> pages = pool_.pages(batch[i].sequence);
    std::copy(pages.begin(), pages.end(), step.pages(batch[i].sequence));
  }
  const std::span<const std::byte> written = stages_.front()->step_bytes();
  for (std::size_t i = 1; i < stages_.size(); ++i)
    std::memcpy(stages_[i]->step_bytes().data(), written.data(), written.size());
}

// The wanted rows from `first` on that one pass of the tail takes; returns how many.
std::int32_t Runner::write_wanted(std::size_t first) {
  Stage& last = *hops_.back().stage;
  const auto pass = static_cast<std::size_t>(last.logit_rows());
  const std::size_t rows = std::min(pass, wanted_.size() - first);
  last.step().row_count = static_cast<std::int32_t>(rows);
  std::copy_n(wanted_.begin() + static_cast<std::ptrdiff_t>(first), rows, last.step().rows());
  return static_cast<std::int32_t>(rows);
}

// Returns how many of the wanted rows' logits come with it.
std::int32_t Runner::run_stages(std::int32_t tokens) {
  for (std::size_t i = 0; i + 1 < hops_.size(); ++i) {
    hops_[i].stage->run(hops_[i].part, tokens, 0);
    hops_[i].stage->pass_on(hops_[i].part, tokens, *hops_[i + 1].stage);
  }
  const std::int32_t rows = write_wanted(0);
  hops_.back().stage->run(hops_.back().part, tokens, rows);
  return rows;
}

void Runner::hand_out(std::int32_t tokens, std::int32_t rows, const LogitsSink& sink) {
  Stage& last = *hops_.back().stage;
  const auto vocab = static_cast<std::size_t>(model_->config().vocab);
  for (std::size_t first = 0; first < wanted_.size();) {
    // The first pass came with the step. For the others the stream has been waited for: nothing is
    // still reading the host's copy.
    if (first > 0) {
      rows = write_wanted(first);
      last.run_more_rows(tokens, rows);
    }
    last.stream().synchronize();
    model_->file().require_intact();
    if (options_.on_progress && streams()) {
      const auto layers = static_cast<std::int32_t>(model_->config().layers);
      options_.on_progress({tokens, layers, layers, stream_stats()});
    }
    const std::span<const float> logits = last.logits(rows);
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
      sink(static_cast<std::size_t>(wanted_[first + row]), logits.subspan(row * vocab, vocab));
    first += static_cast<std::size_t>(rows);
  }
}

void Runner::run_step(std::span<const BatchToken> batch, const LogitsSink& sink) {
  for (const auto& stage : stages_) stage->kv().copy_pages(stage->stream(), pool_.copies());
  pool_.clear_copies();
  write_step(batch);
  const auto tokens = static_cast<std::int32_t>(batch.size());
  hand_out(tokens, run_stages(tokens), sink);
  hops_.back().stage->stream().synchronize();
}

void Runner::step(std::span<const BatchToken> batch, const LogitsSink& sink) {
  check_batch(batch);
  if (lost_) throw *lost_;
  try {
    run_step(batch, sink);
  } catch (const Error& error) {
    recover(error.detail());
    throw;
  } catch (const std::exception& error) {
    recover(error.what());
    throw;
  }
}

// A device that cannot even be waited for is lost, and does not come back.
void Runner::recover(const std::string& why) {
  for (const auto& stage : stages_) {
    if (stage->recover() || lost_) continue;
    lost_ = Error(ErrorCode::device_missing, to_string(stage->device().info().id),
                  fmt::format("is lost: {}", why),
                  "start again; without --device the CPU goes on in its place");
  }
  if (lost_) throw *lost_;
}

}  // namespace strata
