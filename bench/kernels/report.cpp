#include <fmt/format.h>
#include <strata_version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/kernels/bench.h"

namespace strata::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string cell(const Row& row) {
  const Work& work = row.work;
  if (!row.skipped.empty())
    return fmt::format("| {} | {} | {} | {} | {} | | | | | |\n", work.op, work.dtype, work.shape,
                       work.batch, row.skipped);
  const std::string start = fmt::format("| {} | {} | {} | {} | {:.2f} |", work.op, work.dtype,
                                        work.shape, work.batch, row.best_seconds * 1e6);
  if (work.peak == nullptr) return start + " | | | | |\n";
  return start + fmt::format(" {:.1f} | {:.3f} | {} | {:.2f} | {:.2f} |\n",
                             work.bytes / row.best_seconds * 1e-9,
                             work.operations / row.best_seconds * 1e-12,
                             row.read_bound ? "read" : work.peak_name, row.best_ratio,
                             row.median_ratio);
}

Json row_json(const Row& row) {
  const Work& work = row.work;
  Json json = {{"op", work.op},
               {"dtype", work.dtype},
               {"shape", work.shape},
               {"batch", work.batch},
               {"kernel", work.kernel}};
  if (!row.skipped.empty()) {
    json["skipped"] = row.skipped;
    return json;
  }
  json.update({{"best_us", row.best_seconds * 1e6}, {"median_us", row.median_seconds * 1e6}});
  if (work.peak == nullptr) return json;
  json.update({{"bytes", work.bytes},
               {"operations", work.operations},
               {"bytes_per_second", work.bytes / row.best_seconds},
               {"operations_per_second", work.operations / row.best_seconds},
               {"ceiling", row.read_bound ? "read" : work.peak_name},
               {"read_bytes_per_second", row.read_bytes_per_second},
               {"peak", work.peak_name},
               {"peak_per_second", row.peak_per_second},
               {"best_ratio", row.best_ratio},
               {"median_ratio", row.median_ratio}});
  return json;
}

}  // namespace

std::string markdown(const Bench& bench) {
  const Ceilings& c = bench.ceilings();
  std::string text =
      "| op | type | shape | tokens | us | GB/s | TOP/s | ceiling | best | median |\n"
      "|---|---|---|---:|---:|---:|---:|---|---:|---:|\n";
  for (const Row& row : bench.rows()) text += cell(row);
  return text + fmt::format(
                    "\nceilings: read {:.1f} GB/s, int8 {:.2f} TOP/s, bf16 {:.2f} TFLOP/s, "
                    "f32 {:.2f} TFLOP/s\n",
                    c.read_bytes_per_second * 1e-9, c.int8_ops_per_second * 1e-12,
                    c.bf16_flops_per_second * 1e-12, c.f32_flops_per_second * 1e-12);
}

std::string json_text(const Bench& bench) {
  Json rows = Json::array();
  for (const Row& row : bench.rows()) rows.push_back(row_json(row));
  auto& device = const_cast<Bench&>(bench).device();
  const Ceilings& c = bench.ceilings();
  const Json object = {{"commit", version::commit},
                       {"compiler", version::compiler},
                       {"build_type", version::build_type},
                       {"cpu", device.info().name},
                       {"isa", device.info().arch},
                       {"threads", device.info().compute_units},
                       {"read_bytes_per_second", c.read_bytes_per_second},
                       {"int8_ops_per_second", c.int8_ops_per_second},
                       {"bf16_flops_per_second", c.bf16_flops_per_second},
                       {"f32_flops_per_second", c.f32_flops_per_second},
                       {"rows", rows}};
  return object.dump(1) + "\n";
}

}  // namespace strata::bench
