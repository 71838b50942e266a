#include "runtime/engine/stage.h"

#include <algorithm>

namespace strata {
namespace {

// Logits are made in passes of at most so many bytes: all rows of a long prompt would not fit.
constexpr std::int64_t kLogitBytes = 64 << 20;

// Steps of at most so many tokens are recorded: a recorded step computes its bucket's capacity,
// which costs little as long as reading weights is what takes the time.
constexpr std::int32_t kRecordedTokens = 8;

StepCapacity step_capacity(const RunnerOptions& options) {
  const std::int32_t page = options.programs.kv.page_tokens;
  return {options.programs.max_tokens, options.max_sequences,
          static_cast<std::int32_t>((options.context + page - 1) / page), page};
}

std::size_t hidden_bytes(const Model& model, const RunnerOptions& options) {
  return static_cast<std::size_t>(model.config().dim) * sizeof(float) *
         static_cast<std::size_t>(options.programs.max_tokens);
}

std::int32_t logit_rows_of(const Model& model, const RunnerOptions& options) {
  const std::int64_t fit = kLogitBytes / (model.config().vocab * std::int64_t{sizeof(float)});
  const std::int64_t least = std::max<std::int64_t>(fit, options.max_sequences);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(least, 1, options.programs.max_tokens));
}

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

}  // namespace

MemoryPlan& MemoryPlan::operator+=(const MemoryPlan& other) {
  weights_mapped += other.weights_mapped;
  weights_packed += other.weights_packed;
  kv += other.kv;
  compute += other.compute;
  return *this;
}

Stage::Stage(const Model& model, const PlacedPart& part, bool first, bool last,
             const RunnerOptions& options)
    : model_(model),
      part_(part),
      first_(first),
      last_(last),
      options_(options),
      logit_rows_(last ? logit_rows_of(model, options) : 0),
      stream_(part.device->open_stream(StreamRole::compute)),
      programs_(plan_programs(model, *part.device, options.programs,
                              {part.first_layer, part.layers, first, last})),
      weights_(options.weight_block_rows, options.programs.pack_weights) {
  bind_all();
  measure();
}

Stage::BoundPlan Stage::bind(const Plan& plan, std::int32_t layer) {
  BoundPlan bound{&plan, {}};
  for (std::size_t slot = 0; slot < plan.weights.size(); ++slot)
    bound.weights.push_back({weights_.add(*model_.weight(layer, plan.weights[slot].name),
                                          plan.weights[slot].desc.layout, cut_of(plan, slot))});
  return bound;
}

void Stage::bind_all() {
  for (const ProgramBucket& bucket : programs_.buckets) {
    Bucket& bound = buckets_.emplace_back();
    bound.tokens = bucket.tokens;
    if (first_) bound.head = bind(bucket.head, -1);
    bound.layers.resize(static_cast<std::size_t>(part_.layers));
    for (std::size_t kind = 0; kind < bucket.layers.size(); ++kind)
      for (std::int32_t layer : model_.kinds()[kind].layers)
        if (layer >= part_.first_layer && layer < part_.first_layer + part_.layers)
          bound.layers[static_cast<std::size_t>(layer - part_.first_layer)] =
              bind(bucket.layers[kind], layer);
    if (last_) bound.tail = bind(bucket.tail, -1);
  }
}

std::size_t Stage::logit_bytes() const {
  return static_cast<std::size_t>(logit_rows_) * static_cast<std::size_t>(model_.config().vocab) *
         sizeof(float);
}

void Stage::measure() {
  memory_.weights_packed = weights_.packed_bytes();
  // Only a device that shares the host's memory computes in the file's pages.
  (device().info().unified ? memory_.weights_mapped : memory_.weights_packed) +=
      weights_.mapped_bytes();
  memory_.kv =
      KvCache::bytes(model_.config(), options_.programs.kv, options_.kv_extent(), part_.layers);
  memory_.compute = programs_.arena_bytes + 2 * hidden_bytes(model_, options_) + logit_bytes() +
                    step_state_bytes(step_capacity(options_));
}

void Stage::load(const LoadProgress& progress) {
  Device& device = this->device();
  kv_ = std::make_unique<KvCache>(device, model_.config(), options_.programs.kv,
                                  options_.kv_extent(), part_.first_layer, part_.layers);
  arena_ = device.allocate(std::max<std::size_t>(programs_.arena_bytes, 1), MemoryKind::device);
  executor_ = std::make_unique<Executor>(*stream_, weights_,
                                         BufferSpan{arena_.data(), arena_.bytes(), arena_.kind()});
  for (Buffer& buffer : hidden_)
    buffer = device.allocate(hidden_bytes(model_, options_), MemoryKind::device);
  if (!first_) hidden_host_ = device.allocate(hidden_bytes(model_, options_), MemoryKind::pinned);
  if (last_) logits_ = device.allocate(logit_bytes(), MemoryKind::device);
  if (last_ && !device.info().unified)
    logits_host_ = device.allocate(logit_bytes(), MemoryKind::pinned);
  const std::size_t step_bytes = step_state_bytes(step_capacity(options_));
  step_device_ = device.allocate(step_bytes, MemoryKind::device);
  step_host_ = device.allocate(step_bytes, MemoryKind::pinned);
  step_ = &format_step_state(step_host_.data(), step_capacity(options_));
  weights_.upload(model_.file(), device, *stream_, progress);
}

void Stage::set_trace(std::vector<OpSample>* trace) {
  tracing_ = trace != nullptr;
  executor_->set_trace(trace);
}

TensorView Stage::hidden(int index) const {
  return dense_view(
      hidden_[index].data(),
      {DType::F32, Layout::rows, {options_.programs.max_tokens, model_.config().dim}});
}

TensorView Stage::step_view() const {
  return dense_view(
      step_device_.data(),
      {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_device_.bytes())}});
}

Stage::Bucket& Stage::bucket_for(std::int32_t tokens) {
  auto fits = [tokens](const Bucket& bucket) { return bucket.tokens >= tokens; };
  return *std::find_if(buckets_.begin(), buckets_.end(), fits);
}

bool Stage::records(const Bucket& bucket) const {
  const bool small = bucket.tokens <= kRecordedTokens && (!last_ || bucket.tokens <= logit_rows_);
  return small && !tracing_ && stream_->can_record();
}

void Stage::upload_step() {
  stream_->copy({step_device_.data(), step_device_.bytes(), MemoryKind::device},
                {step_host_.data(), step_host_.bytes(), MemoryKind::pinned});
}

void Stage::enqueue_layers(const Bucket& bucket, const StepExtent& extent) {
  int current = 0;
  executor_->set_layer(-1);
  if (first_)
    executor_->run(*bucket.head.plan, {{}, hidden(0), bucket.head.weights, {}, step_view()},
                   extent);
  for (std::size_t i = 0; i < bucket.layers.size(); ++i) {
    const std::int32_t layer = part_.first_layer + static_cast<std::int32_t>(i);
    executor_->set_layer(layer);
    executor_->run(*bucket.layers[i].plan,
                   {hidden(current), hidden(1 - current), bucket.layers[i].weights,
                    kv_->views(layer), step_view()},
                   extent);
    current = 1 - current;
  }
}

void Stage::enqueue_tail(const Bucket& bucket, const StepExtent& extent) {
  const TensorView logits =
      dense_view(logits_.data(),
                 {DType::F32, Layout::rows, {std::int64_t{logit_rows_}, model_.config().vocab}});
  executor_->set_layer(static_cast<std::int32_t>(model_.config().layers));
  executor_->run(*bucket.tail.plan,
                 {hidden(part_.layers % 2), logits, bucket.tail.weights, {}, step_view()}, extent);
}

void Stage::fetch_logits(std::int32_t rows) {
  if (device().info().unified) return;
  const std::size_t bytes = static_cast<std::size_t>(rows) *
                            static_cast<std::size_t>(model_.config().vocab) * sizeof(float);
  stream_->copy({logits_host_.data(), logits_host_.bytes(), MemoryKind::pinned},
                {logits_.data(), bytes, MemoryKind::device});
}

void Stage::run(std::int32_t tokens, std::int32_t rows) {
  Bucket& bucket = bucket_for(tokens);
  upload_step();
  if (!records(bucket)) {
    enqueue_layers(bucket, {tokens, 0});
    if (rows > 0) enqueue_tail(bucket, {tokens, rows});
  } else {
    std::unique_ptr<Recording>& recorded = bucket.recorded[rows > 0 ? 1 : 0];
    if (!recorded) {
      stream_->begin_recording();
      enqueue_layers(bucket, {bucket.tokens, 0});
      if (rows > 0) enqueue_tail(bucket, {bucket.tokens, bucket.tokens});
      recorded = stream_->end_recording();
    }
    stream_->replay(*recorded);
  }
  if (rows > 0) fetch_logits(rows);
}

void Stage::run_more_rows(std::int32_t tokens, std::int32_t rows) {
  upload_step();
  enqueue_tail(bucket_for(tokens), {tokens, rows});
  fetch_logits(rows);
}

std::span<const float> Stage::logits(std::int32_t rows) const {
  const std::byte* data = device().info().unified ? logits_.data() : logits_host_.data();
  return {reinterpret_cast<const float*>(data),
          static_cast<std::size_t>(rows) * static_cast<std::size_t>(model_.config().vocab)};
}

void Stage::pass_on(std::int32_t tokens, Stage& next) {
  const std::size_t bytes = static_cast<std::size_t>(tokens) *
                            static_cast<std::size_t>(model_.config().dim) * sizeof(float);
  const Buffer& from = hidden_[part_.layers % 2];
  stream_->copy({next.hidden_host_.data(), bytes, MemoryKind::host},
                {from.data(), bytes, MemoryKind::device});
  stream_->synchronize();
  next.stream_->copy({next.hidden_[0].data(), bytes, MemoryKind::device},
                     {next.hidden_host_.data(), bytes, MemoryKind::pinned});
}

}  // namespace strata
