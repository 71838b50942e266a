#include "apps/run_stats.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdio>
#include <memory>

#include "runtime/streaming/residency_refresh.h"

namespace strata::apps {
namespace {

using Json = nlohmann::ordered_json;

// Fewer steps do not say that a prediction is wrong.
constexpr double kSweepsToJudge = 8;

Json or_null(double value) { return value > 0 ? Json(value) : Json(); }

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

// A link that moved so many bytes while requests were computed. Bytes of a link that nobody counts
// are null.
Json link_json(std::string_view name, std::optional<double> bytes, double busy_seconds,
               double limit) {
  const double rate = bytes && busy_seconds > 0 ? *bytes / busy_seconds : 0;
  return {{"name", name},
          {"bytes", bytes ? Json(static_cast<std::uint64_t>(*bytes)) : Json()},
          {"bytes_per_second", or_null(rate)},
          {"limit_bytes_per_second", or_null(limit)},
          {"efficiency", limit > 0 && rate > 0 ? Json(rate / limit) : Json()}};
}

// Counted shares, of those experts that the answer's steps asked for.
struct ExpertRates {
  std::optional<double> hits;
  std::optional<double> kept;  ///< of the misses, from pinned memory
};

ExpertRates measured_rates(const RequestFigures& figures) {
  const auto counted = [&](std::uint64_t StreamStats::* field) {
    return static_cast<double>(figures.stream.*field - figures.prompt_stream.*field);
  };
  const double hits = counted(&StreamStats::expert_hits);
  const double misses = counted(&StreamStats::expert_misses);
  ExpertRates rates;
  if (hits + misses > 0) rates.hits = hits / (hits + misses);
  if (misses > 0) rates.kept = counted(&StreamStats::expert_host_hits) / misses;
  return rates;
}

// What the plan says of a token; of experts it assumed something until they were counted.
std::optional<double> predicted_seconds(const ResidencyPlan& plan, const ExpertRates& rates) {
  if (!plan.predicted) return std::nullopt;
  if (!plan.experts || !rates.hits) return plan.predicted->token_seconds;
  return plan.experts->step_seconds(*rates.hits, rates.kept.value_or(plan.experts->kept_rate)) /
         plan.shape.sequences;
}

// How far the measured time of a token is from the predicted one.
Json plan_error(std::optional<double> predicted, double token_seconds) {
  if (!predicted || token_seconds <= 0) return nullptr;
  return std::abs(token_seconds - *predicted) / token_seconds;
}

Json rate_json(const std::optional<double>& rate) { return rate ? Json(*rate) : Json(); }

// Null where no experts come one by one.
Json experts_json(const ResidencyPlan& plan, const ExpertRates& rates) {
  if (plan.expert_slots == 0) return nullptr;
  const auto& assumed = plan.experts;
  return {{"hit_rate", rate_json(rates.hits)},
          {"kept_rate", rate_json(rates.kept)},
          {"assumed_hit_rate", assumed ? Json(assumed->hit_rate) : Json()},
          {"assumed_kept_rate", assumed ? Json(assumed->kept_rate) : Json()},
          {"assumed_token_seconds", plan.predicted ? Json(plan.predicted->token_seconds) : Json()},
          {"slots", plan.expert_slots},
          {"kept_on_host", plan.experts_kept}};
}

// Sweeps of a request, by the bytes that moved: with drafts a sweep may bring several tokens.
double sweeps_of(const ResidencyPlan& plan, const StreamStats& stats) {
  for (const LinkUse& link : plan.links) {
    if (link.bytes <= 0) continue;
    if (link.name == "disk") return static_cast<double>(stats.bytes_read) / link.bytes;
    if (link.name == "upload") return static_cast<double>(stats.bytes_uploaded) / link.bytes;
  }
  return 0;
}

// Where the prediction was wrong: speeds that explain the time, and what would be planned with
// them.
Json refreshed_json(const Residency& residency, const RequestFigures& figures) {
  const ResidencyPlan& plan = residency.plan;
  const RequestTimings& t = figures.timings;
  const double all = sweeps_of(plan, figures.stream);
  const double of_prompt =
      std::ceil(static_cast<double>(t.prompt_tokens) / static_cast<double>(plan.shape.max_tokens));
  if (all - of_prompt < kSweepsToJudge) return nullptr;
  const SweepFigures sweep{seconds(t.generate_ns) / (all - of_prompt),
                           static_cast<double>(figures.stream.bytes_read) / all,
                           figures.stream.reader_seconds / all};
  const auto refreshed = refresh_plan(residency.request, plan, sweep);
  if (!refreshed) return nullptr;
  const LinkSpeeds& links = refreshed->links;
  const auto& planned = refreshed->plan.predicted;
  return {{"disk_bytes_per_second", or_null(links.disk)},
          {"upload_bytes_per_second", or_null(links.upload)},
          {"device_bytes_per_second", or_null(links.device_read)},
          {"cpu_bytes_per_second", or_null(links.cpu_read)},
          {"sweep_seconds", refreshed->predicted_seconds},
          {"best_sweep_seconds", planned ? Json(planned->sweep_seconds) : Json()},
          {"better_flags", refreshed->better ? Json(refreshed->plan.manual_flags) : Json()}};
}

Json stream_json(const Residency& residency, const RequestFigures& figures) {
  const ResidencyPlan& plan = residency.plan;
  const StreamStats& stats = figures.stream;
  const LinkSpeeds& limits = residency.request.links;
  const RequestTimings& t = figures.timings;
  const double wall = seconds(t.prompt_ns + t.generate_ns);
  const double token =
      timed_tokens(t) > 0 ? seconds(t.generate_ns) / static_cast<double>(timed_tokens(t)) : 0;
  Json links = Json::array();
  links.push_back(link_json("disk", static_cast<double>(stats.bytes_read), wall, limits.disk));
  if (!residency.request.unified)
    links.push_back(
        link_json("upload", static_cast<double>(stats.bytes_uploaded), wall, limits.upload));
  links.push_back(link_json("device", std::nullopt, wall, limits.device_read));
  if (plan.bytes_of(Tier::cpu) > 0)
    links.push_back(link_json("cpu", std::nullopt, wall, limits.cpu_read));
  const auto& predicted = plan.predicted;
  const ExpertRates rates = measured_rates(figures);
  const std::optional<double> token_predicted = predicted_seconds(plan, rates);
  return {{"links", std::move(links)},
          {"binding_link", plan.binding_link.empty() ? Json() : Json(plan.binding_link)},
          {"token_seconds", or_null(token)},
          {"predicted_token_seconds", rate_json(token_predicted)},
          {"plan_error", plan_error(token_predicted, token)},
          {"refreshed", refreshed_json(residency, figures)},
          {"io_wait_seconds", static_cast<double>(stats.io_wait_ns) * 1e-9},
          {"copy_wait_seconds", static_cast<double>(stats.copy_wait_ns) * 1e-9},
          {"predicted_stall_seconds", predicted ? Json(predicted->compute_stall_seconds) : Json()},
          {"reader_seconds", stats.reader_seconds},
          {"units", stats.units},
          {"units_dropped", stats.units_dropped},
          {"restarts", stats.restarts},
          {"expert_hits", stats.expert_hits},
          {"expert_misses", stats.expert_misses},
          {"expert_evictions", stats.expert_evictions},
          {"expert_host_hits", stats.expert_host_hits},
          {"experts", experts_json(plan, rates)},
          {"expert_slots", plan.expert_slots},
          {"resident_bytes", plan.bytes_of(Tier::device)},
          {"host_bytes", plan.bytes_of(Tier::host)},
          {"streamed_bytes", plan.bytes_of(Tier::streamed)},
          {"cpu_bytes", plan.bytes_of(Tier::cpu)},
          {"device_slots", plan.slots},
          {"ring_slots", plan.ring_slots},
          {"unit_bytes", plan.block.target_bytes}};
}

}  // namespace

PageFaults read_page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {usage.ru_minflt, usage.ru_majflt};
}

double per_second(std::int64_t count, std::int64_t ns) {
  return ns > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(ns) : 0.0;
}

std::int64_t timed_tokens(const RequestTimings& t) {
  return t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
}

Json timings_json(const RequestTimings& t, std::int64_t load_ns) {
  const auto ms = [](std::int64_t ns) { return static_cast<double>(ns) * 1e-6; };
  return {{"load_ms", ms(load_ns)},
          {"prompt_n", t.prompt_tokens},
          {"prompt_ms", ms(t.prompt_ns)},
          {"prompt_per_second", per_second(t.prompt_tokens, t.prompt_ns)},
          {"predicted_n", t.generated_tokens},
          {"predicted_ms", ms(t.generate_ns)},
          {"predicted_per_second", per_second(timed_tokens(t), t.generate_ns)}};
}

Json stats_json(const PlannedModel& planned, const RequestFigures& figures) {
  const bool streams = planned.residency && planned.residency->plan.streams;
  return {{"device", to_string(planned.device().info().id)},
          {"finish_reason", finish_reason_name(figures.reason)},
          {"weights_mapped_bytes", planned.memory.weights_mapped},
          {"weights_packed_bytes", planned.memory.weights_packed},
          {"kv_bytes", planned.memory.kv},
          {"compute_bytes", planned.memory.compute},
          {"slot_bytes", planned.memory.stream},
          {"pinned_bytes", planned.memory.host},
          {"context", planned.options.context},
          {"prompt_chunk", planned.options.programs.max_tokens},
          {"minor_faults", figures.faults.minor},
          {"major_faults", figures.faults.major},
          {"timings", timings_json(figures.timings, figures.load_ns)},
          {"stream", streams ? stream_json(*planned.residency, figures) : Json()}};
}

void write_stats(const std::string& path, const Json& object) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"),
                                                             &std::fclose);
  const std::string line = object.dump() + "\n";
  if (!file || std::fwrite(line.data(), 1, line.size(), file.get()) != line.size() ||
      std::fflush(file.get()) != 0)
    throw Error(ErrorCode::io, path, "cannot be written", "--stats FILE names a writable file");
}

}  // namespace strata::apps
