#include "runtime/engine/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/engine/memory_text.h"

namespace strata {
namespace {

StepCapacity step_capacity(const RunnerOptions& options) {
  const std::int32_t page = options.programs.kv.page_tokens;
  return {options.programs.max_tokens, options.max_sequences,
          static_cast<std::int32_t>((options.context + page - 1) / page), page};
}

std::size_t hidden_bytes(const Model& model, const RunnerOptions& options) {
  return static_cast<std::size_t>(model.config().dim) * sizeof(float) *
         static_cast<std::size_t>(options.programs.max_tokens);
}

// Logits are made in passes of at most so many bytes: all rows of a long prompt would not fit.
constexpr std::int64_t kLogitBytes = 64 << 20;

// The executor launches a matmul once per row block; every other operand is wanted whole.
ResidentWeights::Cut cut_of(const Plan& plan, std::size_t slot) {
  for (const PlannedNode& node : plan.nodes) {
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      if (node.in[i] < 0) continue;
      const PlannedValue& value = plan.values[static_cast<std::size_t>(node.in[i])];
      const bool same = value.kind == ValueKind::weight && value.slot == static_cast<int>(slot);
      if (same && !is_matmul_weight(node.op.desc.kind(), i)) return ResidentWeights::Cut::whole;
    }
  }
  return ResidentWeights::Cut::row_blocks;
}

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
      "a smaller context (-c), a smaller cache (-ctk q8_0 -ctv q8_0) or --no-repack");
}

}  // namespace

std::int32_t Runner::logit_rows(const Model& model, const RunnerOptions& options) {
  const std::int64_t fit = kLogitBytes / (model.config().vocab * std::int64_t{sizeof(float)});
  const std::int64_t least = std::max<std::int64_t>(fit, options.max_sequences);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(least, 1, options.programs.max_tokens));
}

Runner::BoundPlan Runner::bind(const Model& model, ResidentWeights& weights, const Plan& plan,
                               std::int32_t layer) {
  BoundPlan bound{&plan, {}};
  for (std::size_t slot = 0; slot < plan.weights.size(); ++slot)
    bound.weights.push_back({weights.add(*model.weight(layer, plan.weights[slot].name),
                                         plan.weights[slot].desc.layout, cut_of(plan, slot))});
  return bound;
}

std::vector<Runner::BoundBucket> Runner::bind_all(const Model& model, ResidentWeights& weights,
                                                  const Programs& programs) {
  std::vector<BoundBucket> all;
  for (const ProgramBucket& bucket : programs.buckets) {
    BoundBucket bound;
    bound.tokens = bucket.tokens;
    bound.head = bind(model, weights, bucket.head, -1);
    bound.layers.resize(static_cast<std::size_t>(model.config().layers));
    for (std::size_t kind = 0; kind < bucket.layers.size(); ++kind)
      for (std::int32_t layer : model.kinds()[kind].layers)
        bound.layers[static_cast<std::size_t>(layer)] =
            bind(model, weights, bucket.layers[kind], layer);
    bound.tail = bind(model, weights, bucket.tail, -1);
    all.push_back(std::move(bound));
  }
  return all;
}

MemoryPlan Runner::measure(const Model& model, const DeviceInfo& device,
                           const RunnerOptions& options, const Programs& programs,
                           const ResidentWeights& weights) {
  MemoryPlan plan;
  plan.weights_packed = weights.packed_bytes();
  // Only a device that shares the host's memory computes in the file's pages.
  (device.unified ? plan.weights_mapped : plan.weights_packed) += weights.mapped_bytes();
  plan.kv =
      KvCache::bytes(model.config(), options.programs.kv, options.context, options.max_sequences);
  const std::uint64_t logits = static_cast<std::uint64_t>(logit_rows(model, options)) *
                               static_cast<std::uint64_t>(model.config().vocab) * sizeof(float);
  plan.compute = programs.arena_bytes + 2 * hidden_bytes(model, options) + logits +
                 step_state_bytes(step_capacity(options));
  return plan;
}

MemoryPlan Runner::plan_memory(const Model& model, Device& device, const RunnerOptions& options) {
  check_extents(options);
  KvCache::check(model.config(), options.programs.kv);
  const Programs programs = plan_programs(model, device, options.programs);
  ResidentWeights weights(options.weight_block_rows, options.programs.pack_weights);
  bind_all(model, weights, programs);
  return measure(model, device.info(), options, programs, weights);
}

Runner::Runner(std::shared_ptr<const Model> model, Device& device, const RunnerOptions& options,
               const Progress& progress)
    : model_(std::move(model)),
      device_(device),
      options_(options),
      stream_(device.open_stream(StreamRole::compute)),
      programs_((check_extents(options), KvCache::check(model_->config(), options.programs.kv),
                 plan_programs(*model_, device, options.programs))),
      weights_(options.weight_block_rows, options.programs.pack_weights),
      bound_(bind_all(*model_, weights_, programs_)),
      memory_(measure(*model_, device.info(), options, programs_, weights_)),
      kv_((check_fit(device, memory_), device), model_->config(), options.programs.kv,
          options.context, options.max_sequences),
      arena_(device.allocate(std::max<std::size_t>(programs_.arena_bytes, 1), MemoryKind::device)),
      executor_(*stream_, weights_, {arena_.data(), arena_.bytes(), MemoryKind::device}) {
  for (Buffer& buffer : hidden_)
    buffer = device.allocate(hidden_bytes(*model_, options), MemoryKind::device);
  const auto logit_bytes = static_cast<std::size_t>(logit_rows(*model_, options)) *
                           static_cast<std::size_t>(model_->config().vocab) * sizeof(float);
  logits_ = device.allocate(logit_bytes, MemoryKind::device);
  const std::size_t step_bytes = step_state_bytes(step_capacity(options));
  step_device_ = device.allocate(step_bytes, MemoryKind::device);
  step_host_ = device.allocate(step_bytes, MemoryKind::pinned);
  step_ = &format_step_state(step_host_.data(), step_capacity(options));
  if (!device.info().unified) logits_host_ = device.allocate(logit_bytes, MemoryKind::pinned);
  wanted_.reserve(static_cast<std::size_t>(max_tokens()));
  weights_.upload(model_->file(), device, *stream_, progress);
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
    if (!slot || t.position < 0 || t.position >= kv_.pool().length(t.sequence))
      throw Error(ErrorCode::bad_request, "batch",
                  fmt::format("position {} of sequence {} has no place in the cache", t.position,
                              t.sequence));
  }
}

void Runner::write_step(std::span<const BatchToken> batch) {
  wanted_.clear();
  step_->token_count = static_cast<std::int32_t>(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    step_->tokens()[i] = batch[i].token;
    step_->positions()[i] = batch[i].position;
    step_->sequences()[i] = batch[i].sequence;
    if (batch[i].wants_logits) wanted_.push_back(static_cast<std::int32_t>(i));
    if (i > 0 && batch[i].sequence == batch[i - 1].sequence) continue;
    const std::span<const std::int32_t> pages = kv_.pool().pages(batch[i].sequence);
    std::copy(pages.begin(), pages.end(), step_->pages(batch[i].sequence));
  }
}

// The wanted rows from `first` on that one pass of the tail takes; returns how many.
std::size_t Runner::write_wanted(std::size_t first) {
  const auto pass = static_cast<std::size_t>(logit_rows(*model_, options_));
  const std::size_t rows = std::min(pass, wanted_.size() - first);
  step_->row_count = static_cast<std::int32_t>(rows);
  std::copy_n(wanted_.begin() + static_cast<std::ptrdiff_t>(first), rows, step_->rows());
  return rows;
}

void Runner::upload_step() {
  stream_->copy({step_device_.data(), step_device_.bytes(), MemoryKind::device},
                {step_host_.data(), step_host_.bytes(), MemoryKind::pinned});
}

TensorView Runner::hidden(int index) const {
  return dense_view(hidden_[index].data(),
                    {DType::F32, Layout::rows, {max_tokens(), model_->config().dim}});
}

void Runner::run_layers(const BoundBucket& bucket, const StepExtent& extent) {
  const TensorView step =
      dense_view(step_device_.data(),
                 {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_device_.bytes())}});
  current_ = 0;
  executor_.set_layer(-1);
  executor_.run(*bucket.head.plan, {{}, hidden(0), bucket.head.weights, {}, step}, extent);
  for (std::size_t layer = 0; layer < bucket.layers.size(); ++layer) {
    const auto index = static_cast<std::int32_t>(layer);
    executor_.set_layer(index);
    executor_.run(*bucket.layers[layer].plan,
                  {hidden(current_), hidden(1 - current_), bucket.layers[layer].weights,
                   kv_.views(index), step},
                  extent);
    current_ = 1 - current_;
  }
}

void Runner::run_tail(const BoundBucket& bucket, std::span<const BatchToken> batch,
                      const LogitsSink& sink) {
  const TensorView step =
      dense_view(step_device_.data(),
                 {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_device_.bytes())}});
  const auto vocab = static_cast<std::size_t>(model_->config().vocab);
  const auto pass = static_cast<std::size_t>(logit_rows(*model_, options_));
  const TensorView logits = dense_view(
      logits_.data(),
      {DType::F32, Layout::rows, {static_cast<std::int64_t>(pass), model_->config().vocab}});
  executor_.set_layer(static_cast<std::int32_t>(model_->config().layers));
  for (std::size_t first = 0; first < wanted_.size(); first += pass) {
    const std::size_t rows = write_wanted(first);
    // The first pass went up with the step. For the others the stream has been waited for: nothing
    // is still reading the host's copy.
    if (first > 0) upload_step();
    executor_.run(*bucket.tail.plan, {hidden(current_), logits, bucket.tail.weights, {}, step},
                  {static_cast<std::int32_t>(batch.size()), static_cast<std::int32_t>(rows)});
    const float* host = logits.as<float>();
    if (!device_.info().unified) {
      stream_->copy({logits_host_.data(), logits_host_.bytes(), MemoryKind::pinned},
                    {logits_.data(), rows * vocab * sizeof(float), MemoryKind::device});
      host = reinterpret_cast<const float*>(logits_host_.data());
    }
    stream_->synchronize();
    for (std::size_t row = 0; row < rows; ++row)
      sink(static_cast<std::size_t>(wanted_[first + row]), {host + row * vocab, vocab});
  }
}

void Runner::step(std::span<const BatchToken> batch, const LogitsSink& sink) {
  check_batch(batch);
  const auto tokens = static_cast<std::int32_t>(batch.size());
  auto fits = [tokens](const BoundBucket& bucket) { return bucket.tokens >= tokens; };
  const BoundBucket& bucket = *std::find_if(bound_.begin(), bound_.end(), fits);
  kv_.make_copies(*stream_);
  write_step(batch);
  write_wanted(0);
  upload_step();
  run_layers(bucket, {tokens, 0});
  run_tail(bucket, batch, sink);
  stream_->synchronize();
}

}  // namespace strata
