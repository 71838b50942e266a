#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/streaming/bench.h"
#include "runtime/core/memory_text.h"

namespace strata::bench {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

std::optional<double> plan_error(const Row& row) {
  if (!row.predicted) return std::nullopt;
  return std::abs(row.token_seconds - *row.predicted) / row.token_seconds;
}

std::optional<double> over_least(const Row& row) {
  if (!row.least) return std::nullopt;
  return row.token_seconds / *row.least;
}

double rate(double bytes, double seconds) { return seconds > 0 ? bytes / seconds : 0; }

std::string cell(const std::optional<double>& value, const char* format) {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

std::string gbps(double bytes, double seconds) {
  return bytes > 0 ? fmt::format("{:.2f}", rate(bytes, seconds) * 1e-9) : "-";
}

std::uint64_t moved(const Row& row) {
  return row.plan ? row.plan->bytes_of(Tier::host) + row.plan->bytes_of(Tier::streamed) : 0;
}

std::string line(const Row& row, double resident_seconds) {
  const std::string slower =
      resident_seconds > 0 ? fmt::format("{:.2f}", row.token_seconds / resident_seconds) : "-";
  return fmt::format("| {} | {} | {} | {:.1f} | {} | {} | {} | {} | {} | {} | {} |\n",
                     row.mapping      ? "the mapping"
                     : row.budget > 0 ? bytes_text(row.budget)
                                      : "in memory",
                     bytes_text(row.memory.allocated()), bytes_text(moved(row)),
                     row.token_seconds * 1e3,
                     row.predicted ? fmt::format("{:.1f}", *row.predicted * 1e3) : "-",
                     cell(plan_error(row), "{:.3f}"), gbps(row.disk_bytes, row.token_seconds),
                     gbps(row.upload_bytes, row.token_seconds), cell(row.stall, "{:.3f}"),
                     cell(over_least(row), "{:.3f}"), slower);
}

Json row_json(const Row& row) {
  return {{"budget", row.budget},
          {"mapping", row.mapping},
          {"device_bytes", row.memory.allocated()},
          {"streamed_bytes", moved(row)},
          {"token_seconds", row.token_seconds},
          {"predicted_seconds", or_null(row.predicted)},
          {"plan_error", or_null(plan_error(row))},
          {"disk_bytes_per_token", row.disk_bytes},
          {"disk_bytes_per_second", rate(row.disk_bytes, row.token_seconds)},
          {"upload_bytes_per_token", row.upload_bytes},
          {"upload_bytes_per_second", rate(row.upload_bytes, row.token_seconds)},
          {"stall_fraction", or_null(row.stall)},
          {"over_slowest_link", or_null(over_least(row))},
          {"binding_link", row.plan ? Json(row.plan->binding_link) : Json()}};
}

}  // namespace

std::string markdown(const Result& result) {
  const LinkSpeeds& l = result.links;
  std::string text = fmt::format(
      "{} on {}{}\nlinks, GB/s: disk {:.2f}, host copy {:.2f}, upload {:.2f}, device {:.2f}, CPU "
      "{:.2f}\n\n",
      result.model, result.device, result.virtual_time ? ", in virtual time" : "", l.disk * 1e-9,
      l.host_copy * 1e-9, l.upload * 1e-9, l.device_read * 1e-9, l.cpu_read * 1e-9);
  text +=
      "| budget | device memory | streamed | ms/token | predicted | plan error | disk GB/s | "
      "upload "
      "GB/s | stall | T / slowest link | T / in memory |\n"
      "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  double resident = 0;
  for (const Row& row : result.rows)
    if (row.budget == 0 && !row.mapping) resident = row.token_seconds;
  for (const Row& row : result.rows) text += line(row, resident);
  return text;
}

std::string json_text(const Result& result) {
  const LinkSpeeds& l = result.links;
  const auto speed = [](double value) { return value > 0 ? Json(value) : Json(); };
  Json rows = Json::array();
  for (const Row& row : result.rows) rows.push_back(row_json(row));
  const Json object = {{"model", result.model},
                       {"device", result.device},
                       {"virtual_time", result.virtual_time},
                       {"links",
                        {{"disk", speed(l.disk)},
                         {"host_copy", speed(l.host_copy)},
                         {"upload", speed(l.upload)},
                         {"device_read", speed(l.device_read)},
                         {"cpu_read", speed(l.cpu_read)}}},
                       {"rows", rows}};
  return object.dump(2) + "\n";
}

}  // namespace strata::bench
