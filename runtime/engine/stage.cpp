#include "runtime/engine/stage.h"

#include <algorithm>

namespace strata {
namespace {

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
  // Logits are made in passes: all rows of a long prompt would not fit.
  const std::int64_t fit = static_cast<std::int64_t>(options.logit_bytes) /
                           (model.config().vocab * std::int64_t{sizeof(float)});
  const std::int64_t least = std::max<std::int64_t>(fit, options.max_sequences);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(least, 1, options.programs.max_tokens));
}

// All layers whose attention the parts compute, in the order in which they run.
std::vector<std::int32_t> cached_layers(const std::vector<StagePart>& parts) {
  std::vector<std::int32_t> layers;
  for (const StagePart& part : parts) {
    const std::int32_t end = part.placed.first_layer + part.placed.layers;
    for (std::int32_t layer = end - part.placed.cached_layers(); layer < end; ++layer)
      layers.push_back(layer);
  }
  return layers;
}

bool any_of(const std::vector<StagePart>& parts, bool StagePart::* which) {
  return std::any_of(parts.begin(), parts.end(),
                     [which](const StagePart& part) { return part.*which; });
}

WeightOptions weight_options(const RunnerOptions& options) {
  return {options.programs.pack_weights, options.weight_block_rows, options.stream,
          options.expert_slots, options.experts_kept};
}

std::size_t kind_of(const Model& model, std::int32_t layer) {
  for (std::size_t kind = 0; kind < model.kinds().size(); ++kind) {
    const std::vector<std::int32_t>& layers = model.kinds()[kind].layers;
    if (std::find(layers.begin(), layers.end(), layer) != layers.end()) return kind;
  }
  return 0;  // every layer is of a kind
}

}  // namespace

MemoryPlan& MemoryPlan::operator+=(const MemoryPlan& other) {
  weights_mapped += other.weights_mapped;
  weights_packed += other.weights_packed;
  kv += other.kv;
  compute += other.compute;
  stream += other.stream;
  host += other.host;
  return *this;
}

Stage::Stage(const Model& model, Device& device, std::vector<StagePart> parts,
             const RunnerOptions& options)
    : model_(model),
      device_(device),
      parts_(std::move(parts)),
      options_(options),
      head_(any_of(parts_, &StagePart::head)),
      tail_(any_of(parts_, &StagePart::tail)),
      logit_rows_(tail_ ? logit_rows_of(model, options) : 0),
      stream_(device.open_stream(StreamRole::compute)),
      programs_(plan_programs(model, device, options.programs, program_part(false))),
      file_programs_(plan_programs(model, device, options.programs, program_part(true))),
      weights_(model, device, weight_options(options)) {
  if (tail_ && options.candidates > 0 && device.info().id.backend != BackendKind::cpu)
    finder_.emplace(device, model.config().vocab, std::min(options.max_sequences, logit_rows_),
                    options.candidates);
  for (std::size_t i = 0; i < programs_.buckets.size(); ++i) bind_bucket(i);
  measure();
}

// What streams is used once: packing it first may cost more than its matmul does on the way. To a
// device that shares the host's memory it always does; of others it was measured, with the bits,
// which are the same.
bool Stage::in_file_layout(Tier tier) const {
  return tier != Tier::device && (device_.info().unified || options_.stream.file_layout);
}

// What streams comes in row blocks, and plans are shared by all layers of a kind.
bool Stage::whole_matrices() const {
  if (options_.weight_block_rows > 0) return false;
  return std::all_of(parts_.begin(), parts_.end(), [](const StagePart& part) {
    const std::vector<Tier>& tiers = part.placed.tiers;
    return std::all_of(tiers.begin(), tiers.end(), [](Tier t) { return t == Tier::device; });
  });
}

ProgramPart Stage::program_part(bool file_layout) const {
  ProgramPart wanted{{}, head_ && !file_layout, false, file_layout, whole_matrices()};
  for (const StagePart& part : parts_) {
    const std::int32_t end = part.placed.first_layer + part.placed.layers;
    for (std::int32_t layer = part.placed.first_layer; layer < end; ++layer)
      if (in_file_layout(part.placed.tier_of(layer)) == file_layout)
        wanted.layers[part.placed.part_of(layer)].push_back(layer);
    if (part.tail) wanted.tail = in_file_layout(part.placed.tier_of(end)) == file_layout;
  }
  return wanted;
}

std::size_t Stage::arena_bytes() const {
  return std::max<std::size_t>(
      {programs_.arena_bytes, file_programs_.arena_bytes, finder_ ? finder_->arena_bytes() : 0, 1});
}

const ProgramBucket& Stage::bucket_of(std::size_t index, Tier tier) const {
  return (in_file_layout(tier) ? file_programs_ : programs_).buckets[index];
}

Stage::BoundPlan Stage::bind_layer(std::size_t bucket, const PlacedPart& part, std::int32_t layer) {
  const Tier tier = part.tier_of(layer);
  const Plan& plan = bucket_of(bucket, tier).layers[part.part_of(layer)][kind_of(model_, layer)];
  return {&plan, weights_.bind(plan, layer, tier, part.experts_stay, part.ops_of(layer))};
}

Stage::BoundPlan Stage::bind_tail(std::size_t bucket, const PlacedPart& part) {
  const std::int32_t after = part.first_layer + part.layers;
  const Tier tier = part.tier_of(after);
  const Plan& plan = bucket_of(bucket, tier).tail;
  return {&plan, weights_.bind(plan, -1, tier, false, part.ops_of(after))};
}

// In the order of a step, which is that of streaming.
void Stage::bind_bucket(std::size_t index) {
  Bucket& bound = buckets_.emplace_back();
  bound.tokens = programs_.buckets[index].tokens;
  const Plan& head = programs_.buckets[index].head;
  if (head_) bound.head = {&head, weights_.bind(head, -1, Tier::device)};
  for (const StagePart& part : parts_) {
    BoundPart& layers = bound.parts.emplace_back();
    for (std::int32_t i = 0; i < part.placed.layers; ++i)
      layers.layers.push_back(bind_layer(index, part.placed, part.placed.first_layer + i));
    if (part.tail) bound.tail = bind_tail(index, part.placed);
  }
}

std::size_t Stage::logit_bytes() const {
  return static_cast<std::size_t>(logit_rows_) * static_cast<std::size_t>(model_.config().vocab) *
         sizeof(float);
}

void Stage::measure() {
  memory_.weights_packed = weights_.packed_bytes();
  // Only a device that shares the host's memory computes in the file's pages.
  (device_.info().unified ? memory_.weights_mapped : memory_.weights_packed) +=
      weights_.mapped_bytes();
  memory_.kv = KvCache::bytes(model_.config(), options_.programs.kv, options_.kv_extent(),
                              static_cast<std::int64_t>(cached_layers(parts_).size()));
  memory_.compute = arena_bytes() + 2 * hidden_bytes(model_, options_) + logit_bytes() +
                    step_state_bytes(step_capacity(options_)) +
                    (finder_ ? finder_->device_bytes() : 0);
  if (!weights_.streams()) return;
  const FeedMemory feed = weights_.stream_memory();
  memory_.stream = feed.device;
  (device_.info().unified ? memory_.stream : memory_.host) += feed.host;
  if (weights_.experts().empty()) return;
  const std::int64_t experts = model_.config().experts;
  memory_.compute += ExpertRoutes::device_bytes(experts, most_routes());
  (device_.info().unified ? memory_.compute : memory_.host) +=
      ExpertRoutes::host_bytes(experts, most_routes());
}

std::int64_t Stage::most_routes() const {
  return options_.programs.max_tokens * model_.config().experts_used;
}

void Stage::load_experts() {
  const std::int64_t experts = model_.config().experts;
  routes_host_ =
      device_.allocate(ExpertRoutes::host_bytes(experts, most_routes()), MemoryKind::pinned);
  routes_device_ =
      device_.allocate(ExpertRoutes::device_bytes(experts, most_routes()), MemoryKind::device);
  const auto span_of = [](const Buffer& buffer) {
    return BufferSpan{buffer.data(), buffer.bytes(), buffer.kind()};
  };
  executor_->use_experts(weights_.experts(),
                         {span_of(routes_host_), span_of(routes_device_), experts}, experts);
}

void Stage::load(const LoadProgress& progress) {
  kv_ = std::make_unique<KvCache>(device_, model_.config(), options_.programs.kv,
                                  options_.kv_extent(), cached_layers(parts_));
  arena_ = device_.allocate(arena_bytes(), MemoryKind::device);
  const BufferSpan arena{arena_.data(), arena_.bytes(), arena_.kind()};
  executor_ = std::make_unique<Executor>(*stream_, weights_, arena);
  for (Buffer& buffer : hidden_)
    buffer = device_.allocate(hidden_bytes(model_, options_), MemoryKind::device);
  if (!parts_.front().head || parts_.size() > 1)
    hidden_host_ = device_.allocate(hidden_bytes(model_, options_), MemoryKind::pinned);
  if (tail_) logits_ = device_.allocate(logit_bytes(), MemoryKind::device);
  if (tail_ && !device_.info().unified)
    logits_host_ = device_.allocate(logit_bytes(), MemoryKind::pinned);
  const std::size_t step_bytes = step_state_bytes(step_capacity(options_));
  step_device_ = device_.allocate(step_bytes, MemoryKind::device);
  for (std::size_t place : {0, 1}) {
    step_host_[place] = device_.allocate(step_bytes, MemoryKind::pinned);
    step_[place] = &format_step_state(step_host_[place].data(), step_capacity(options_));
  }
  if (finder_) finder_->load();
  weights_.load(*stream_, arena, progress, options_.observer);
  if (!weights_.experts().empty()) load_experts();
}

bool Stage::recover() {
  try {
    stream_->synchronize();
    weights_.restart();
    return true;
  } catch (const std::exception&) {
    return false;
  }
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
  const bool small = bucket.tokens <= kRecordedTokens && (!tail_ || bucket.tokens <= logit_rows_);
  return small && !tracing_ && stream_->can_record() && !weights_.streams();
}

void Stage::upload_step(std::span<const ChosenToken> chosen) {
  stream_->copy({step_device_.data(), step_device_.bytes(), MemoryKind::device},
                {step_host_[place_].data(), step_device_.bytes(), MemoryKind::pinned});
  std::byte* const tokens = step_device_.data() + step().tokens_offset;
  for (const ChosenToken& token : chosen)
    stream_->copy(
        {tokens + std::size_t{4} * static_cast<std::size_t>(token.index), 4, MemoryKind::device},
        finder_->token(token.row));
}

void Stage::enqueue_layers(const Bucket& bucket, std::size_t part, const StepExtent& extent) {
  int current = 0;
  executor_->set_layer(-1);
  if (parts_[part].head)
    executor_->run(*bucket.head.plan, {{}, hidden(0), bucket.head.weights, {}, step_view()},
                   extent);
  const std::vector<BoundPlan>& layers = bucket.parts[part].layers;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::int32_t layer = parts_[part].placed.first_layer + static_cast<std::int32_t>(i);
    executor_->set_layer(layer);
    if (options_.on_progress && weights_.streams())
      options_.on_progress({extent.tokens, layer, static_cast<std::int32_t>(model_.config().layers),
                            weights_.stats()});
    const bool caches = parts_[part].placed.part_of(layer) != LayerPart::feed_forward;
    executor_->run(*layers[i].plan,
                   {hidden(current), hidden(1 - current), layers[i].weights,
                    caches ? kv_->views(layer) : std::span<const TensorView>(), step_view()},
                   extent);
    current = 1 - current;
  }
}

TensorView Stage::logits_view() const {
  return dense_view(logits_.data(),
                    {DType::F32, Layout::rows, {std::int64_t{logit_rows_}, model_.config().vocab}});
}

void Stage::enqueue_tail(const Bucket& bucket, const StepExtent& extent) {
  executor_->set_layer(static_cast<std::int32_t>(model_.config().layers));
  executor_->run(*bucket.tail.plan,
                 {hidden(parts_.back().placed.layers % 2),
                  logits_view(),
                  bucket.tail.weights,
                  {},
                  step_view()},
                 extent);
}

void Stage::enqueue(const Bucket& bucket, std::size_t part, const StepExtent& extent, bool finds) {
  enqueue_layers(bucket, part, {extent.tokens, 0});
  if (extent.wanted_rows > 0) enqueue_tail(bucket, extent);
  if (finds)
    finder_->enqueue(*executor_, logits_view(), std::min(extent.wanted_rows, finder_->rows()));
}

void Stage::run(std::size_t part, const StageWork& work) {
  Bucket& bucket = bucket_for(work.tokens);
  // It is the same for all parts but for the wanted rows.
  if (part == 0 || work.rows > 0) upload_step(work.chosen);
  if (!records(bucket)) {
    enqueue(bucket, part, {work.tokens, work.rows}, work.finds);
    return;
  }
  const std::size_t kind = work.finds ? 2 : work.rows > 0 ? 1 : 0;
  std::unique_ptr<Recording>& recorded = bucket.parts[part].recorded[kind];
  if (!recorded) {
    stream_->begin_recording();
    enqueue(bucket, part, {bucket.tokens, work.rows > 0 ? bucket.tokens : 0}, work.finds);
    recorded = stream_->end_recording();
  }
  stream_->replay(*recorded);
}

void Stage::run_more_rows(std::int32_t tokens, std::int32_t rows) {
  upload_step({});
  enqueue_tail(bucket_for(tokens), {tokens, rows});
}

void Stage::fetch_logits(std::int32_t first, std::int32_t rows) {
  if (device_.info().unified) return;
  const std::size_t row_bytes = static_cast<std::size_t>(model_.config().vocab) * sizeof(float);
  const std::size_t begin = static_cast<std::size_t>(first) * row_bytes;
  const std::size_t bytes = static_cast<std::size_t>(rows) * row_bytes;
  stream_->copy({logits_host_.data() + begin, bytes, MemoryKind::pinned},
                {logits_.data() + begin, bytes, MemoryKind::device});
}

std::span<const float> Stage::logits(std::int32_t row) const {
  const std::byte* data = device_.info().unified ? logits_.data() : logits_host_.data();
  const auto vocab = static_cast<std::size_t>(model_.config().vocab);
  return {reinterpret_cast<const float*>(data) + static_cast<std::size_t>(row) * vocab, vocab};
}

void Stage::pass_on(std::size_t part, std::int32_t tokens, Stage& next) {
  const std::size_t bytes = static_cast<std::size_t>(tokens) *
                            static_cast<std::size_t>(model_.config().dim) * sizeof(float);
  const Buffer& from = hidden_[parts_[part].placed.layers % 2];
  stream_->copy({next.hidden_host_.data(), bytes, MemoryKind::host},
                {from.data(), bytes, MemoryKind::device});
  stream_->synchronize();
  next.stream_->copy({next.hidden_[0].data(), bytes, MemoryKind::device},
                     {next.hidden_host_.data(), bytes, MemoryKind::pinned});
}

}  // namespace strata
