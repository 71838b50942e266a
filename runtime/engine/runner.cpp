#include "runtime/engine/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

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
  for (Flight& flight : flights_) {
    flight.wanted.reserve(static_cast<std::size_t>(max_tokens()));
    flight.top_only.reserve(static_cast<std::size_t>(max_tokens()));
  }
  chosen_.reserve(static_cast<std::size_t>(max_tokens()));
}

Runner::~Runner() {
  try {
    while (in_flight_ > 0) drop();
  } catch (const std::exception&) {  // nobody is left who could be told; nothing is in flight
  }
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
  tracing_ = trace != nullptr;
  for (const auto& stage : stages_) stage->set_trace(trace);
}

// Whether it stands for a token that the step in flight chooses.
bool Runner::is_chosen(std::int32_t token) const {
  return token < 0 && in_flight_ == 1 && oldest().finds && chosen_token(token) < oldest().rows;
}

void Runner::check_batch(std::span<const BatchToken> batch) const {
  if (batch.empty() || batch.size() > static_cast<std::size_t>(max_tokens()))
    throw Error(ErrorCode::bad_request, "batch",
                fmt::format("has {} tokens, expected 1 to {}", batch.size(), max_tokens()));
  for (const BatchToken& t : batch) {
    if (!is_chosen(t.token) && (t.token < 0 || t.token >= model_->config().vocab))
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
void Runner::write_step(std::span<const BatchToken> batch, Flight& flight) {
  flight.tokens = static_cast<std::int32_t>(batch.size());
  flight.wanted.clear();
  flight.top_only.clear();
  chosen_.clear();
  for (const auto& stage : stages_) stage->turn();
  flight.place = hops_.back().stage->place();
  StepState& step = stages_.front()->step();
  step.token_count = flight.tokens;
  step.row_count = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    if (batch[i].token < 0) chosen_.push_back({index, chosen_token(batch[i].token)});
    step.tokens()[i] = std::max(batch[i].token, 0);
    step.positions()[i] = batch[i].position;
    step.sequences()[i] = batch[i].sequence;
    if (batch[i].wants_logits) {
      flight.wanted.push_back(index);
      flight.top_only.push_back(batch[i].top_only);
    }
    if (i > 0 && batch[i].sequence == batch[i - 1].sequence) continue;
    const std::span<const std::int32_t> pages = pool_.pages(batch[i].sequence);
    std::copy(pages.begin(), pages.end(), step.pages(batch[i].sequence));
  }
  const std::span<const std::byte> written = stages_.front()->step_bytes();
  for (std::size_t i = 1; i < stages_.size(); ++i)
    std::memcpy(stages_[i]->step_bytes().data(), written.data(), written.size());
}

// The wanted rows from `first` on that one pass of the tail takes; returns how many.
std::int32_t Runner::write_wanted(const Flight& flight, std::size_t first) {
  Stage& last = *hops_.back().stage;
  const auto pass = static_cast<std::size_t>(last.logit_rows());
  const std::size_t rows = std::min(pass, flight.wanted.size() - first);
  last.step().row_count = static_cast<std::int32_t>(rows);
  std::copy_n(flight.wanted.begin() + static_cast<std::ptrdiff_t>(first), rows, last.step().rows());
  return static_cast<std::int32_t>(rows);
}

void Runner::run_stages(Flight& flight) {
  for (std::size_t i = 0; i + 1 < hops_.size(); ++i) {
    hops_[i].stage->run(hops_[i].part, {flight.tokens, 0, false, {}});
    hops_[i].stage->pass_on(hops_[i].part, flight.tokens, *hops_[i + 1].stage);
  }
  const auto begin = flight.top_only.begin();
  const auto end = flight.top_only.end();
  const auto most = static_cast<std::size_t>(candidate_rows());
  flight.rows = write_wanted(flight, 0);
  flight.finds = flight.wanted.size() <= most && std::find(begin, end, true) != end;
  flight.tops_only = flight.finds && std::find(begin, end, false) == end;
  hops_.back().stage->run(hops_.back().part, {flight.tokens, flight.rows, flight.finds, chosen_});
}

// Brings what is wanted of the first pass to the host: candidates, and whole rows.
void Runner::fetch(const Flight& flight) {
  Stage& last = *hops_.back().stage;
  if (flight.finds) last.fetch_candidates(flight.rows);
  for (std::int32_t row = 0; row < flight.rows;) {
    std::int32_t end = row;
    while (end < flight.rows && !(flight.finds && flight.top_only[static_cast<std::size_t>(end)]))
      ++end;
    if (end > row) last.fetch_logits(row, end - row);
    row = end + 1;
  }
}

void Runner::enqueue_step(std::span<const BatchToken> batch) {
  for (const auto& stage : stages_) stage->kv().copy_pages(stage->stream(), pool_.copies());
  pool_.clear_copies();
  Flight& flight = flights_[(oldest_ + in_flight_) % flights_.size()];
  write_step(batch, flight);
  run_stages(flight);
  fetch(flight);
  flight.ticket = hops_.back().stage->stream().record().ticket;
  ++in_flight_;
}

void Runner::wait_for(const Flight& flight) {
  Stream& stream = hops_.back().stage->stream();
  if (in_flight_ > 1)
    stream.await(flight.ticket);
  else
    stream.synchronize();
}

void Runner::hand_out_pass(const Flight& flight, std::size_t first, std::int32_t rows,
                           const RowSink& sink) {
  Stage& last = *hops_.back().stage;
  for (std::int32_t row = 0; row < rows; ++row) {
    const std::size_t wanted = first + static_cast<std::size_t>(row);
    std::optional<text::TopLogits> top;
    if (flight.finds) {
      const CandidateRow found = last.candidates(row, flight.place);
      const auto real = static_cast<std::size_t>(std::find(found.ids.begin(), found.ids.end(), -1) -
                                                 found.ids.begin());
      // The host's own sum of rounded exponentials is off by less than the device's may be.
      top = text::TopLogits{found.ids.first(real), found.logits.first(real),
                            static_cast<double>(found.weight_sum), 2 * kWeightSumError,
                            static_cast<std::size_t>(found.unusable)};
    }
    const bool on_host = !flight.finds || !flight.top_only[wanted];
    sink(static_cast<std::size_t>(flight.wanted[wanted]),
         LogitsRow(last, row, top, on_host, in_flight_ > 1));
  }
}

void Runner::hand_out(const Flight& flight, const RowSink& sink) {
  Stage& last = *hops_.back().stage;
  std::int32_t rows = flight.rows;
  for (std::size_t first = 0; first < flight.wanted.size();) {
    // The first pass came with the step. For the others the stream has been waited for: nothing is
    // still reading the host's copy.
    if (first > 0) {
      rows = write_wanted(flight, first);
      last.run_more_rows(flight.tokens, rows);
      last.fetch_logits(0, rows);
    }
    wait_for(flight);
    model_->file().require_intact();
    if (options_.on_progress && streams()) {
      const auto layers = static_cast<std::int32_t>(model_->config().layers);
      options_.on_progress({flight.tokens, layers, layers, stream_stats()});
    }
    hand_out_pass(flight, first, rows, sink);
    first += static_cast<std::size_t>(rows);
  }
  wait_for(flight);
}

void Runner::land() {
  oldest_ = (oldest_ + 1) % flights_.size();
  --in_flight_;
}

// Runs `work`; after an error no step is in flight any more.
template <class Work>
void Runner::guarded(const Work& work) {
  if (lost_) throw *lost_;
  try {
    work();
  } catch (const Error& error) {
    in_flight_ = 0;
    recover(error.detail());
    throw;
  } catch (const std::exception& error) {
    in_flight_ = 0;
    recover(error.what());
    throw;
  }
}

void Runner::start(std::span<const BatchToken> batch) {
  if (in_flight_ > 0 && !may_follow())
    throw std::logic_error("a step is started before the last one is finished");
  if (in_flight_ == 0) check_batch(batch);
  guarded([&] {
    if (in_flight_ > 0) check_batch(batch);  // an error ends that step too
    enqueue_step(batch);
  });
}

void Runner::finish(const RowSink& sink) {
  if (in_flight_ == 0) throw std::logic_error("no step was started");
  guarded([&] {
    hand_out(oldest(), sink);
    land();
  });
}

void Runner::drop() {
  if (in_flight_ == 0) return;
  guarded([&] {
    wait_for(oldest());
    land();
  });
}

void Runner::step(std::span<const BatchToken> batch, const LogitsSink& sink) {
  start(batch);
  finish([&sink](std::size_t index, const LogitsRow& row) { sink(index, row.all()); });
}

bool Runner::may_follow() const {
  return options_.run_ahead && hops_.size() == 1 && !streams() && !tracing_ && in_flight_ == 1 &&
         oldest().tops_only;
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
