// bench_devices: GEMV in GB/s and GEMM in TFLOP/s, per weight type and batch, on any device.
#include <fmt/format.h>
#include <strata_version.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "backends/registry.h"
#include "bench/devices/options.h"
#include "bench/devices/product.h"
#include "bench/program.h"
#include "runtime/core/error.h"

namespace strata::bench {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  DType dtype;
  std::int64_t batch;
  std::string kernel;
  double seconds = 0;
  double bytes = 0;
  double flops = 0;
  std::string skipped;  ///< why there is no figure
};

Row measure_row(Device& device, const DeviceBenchOptions& options, DType dtype,
                std::int64_t batch) {
  Row row{dtype, batch, {}, 0, 0, 0, {}};
  try {
    Product product(device, dtype, batch, options.n, options.k);
    row.kernel = product.kernel();
    row.bytes = product.bytes();
    row.flops = 2.0 * static_cast<double>(batch) * static_cast<double>(options.n) *
                static_cast<double>(options.k);
    row.seconds = product.measure(options.seconds);
  } catch (const Error& error) {
    row.skipped = error.what();
  }
  return row;
}

// Each the better of two measurements, before and after the rows.
Ceilings better(const Ceilings& a, const Ceilings& b) {
  return {std::max(a.read_bytes_per_second, b.read_bytes_per_second),
          std::max(a.int8_ops_per_second, b.int8_ops_per_second),
          std::max(a.bf16_flops_per_second, b.bf16_flops_per_second),
          std::max(a.f32_flops_per_second, b.f32_flops_per_second)};
}

double gemm_ceiling(const Ceilings& c) {
  return std::max(c.bf16_flops_per_second, c.f32_flops_per_second);
}

double share(double rate, double ceiling) { return ceiling > 0 ? rate / ceiling : 0; }

std::string table(const DeviceInfo& info, const std::vector<Row>& rows, const Ceilings& c) {
  std::string text = fmt::format("{} {}, {}\n\n", to_string(info.id), info.name, info.driver) +
                     "| type | rows of x | kernel | us | GB/s | share | TFLOP/s | share |\n"
                     "|---|---:|---|---:|---:|---:|---:|---:|\n";
  for (const Row& row : rows) {
    const std::string_view type = dtype_info(row.dtype).name;
    if (!row.skipped.empty()) {
      text += fmt::format("| {} | {} | {} | | | | | |\n", type, row.batch, row.skipped);
      continue;
    }
    const double rate = row.bytes / row.seconds;
    const double flops = row.flops / row.seconds;
    text += fmt::format("| {} | {} | {} | {:.1f} | {:.1f} | {:.2f} | {:.3f} | {:.2f} |\n", type,
                        row.batch, row.kernel, row.seconds * 1e6, rate * 1e-9,
                        share(rate, c.read_bytes_per_second), flops * 1e-12,
                        share(flops, gemm_ceiling(c)));
  }
  return text + fmt::format(
                    "\nceilings: copy {:.1f} GB/s (read + written), bf16 {:.3f} TFLOP/s, "
                    "f32 {:.3f} TFLOP/s\n",
                    c.read_bytes_per_second * 1e-9, c.bf16_flops_per_second * 1e-12,
                    c.f32_flops_per_second * 1e-12);
}

Json json_of(const Row& row) {
  Json json = {{"dtype", dtype_info(row.dtype).name}, {"batch", row.batch}};
  if (!row.skipped.empty()) {
    json["skipped"] = row.skipped;
    return json;
  }
  json.update({{"kernel", row.kernel},
               {"us", row.seconds * 1e6},
               {"bytes_per_second", row.bytes / row.seconds},
               {"flops_per_second", row.flops / row.seconds}});
  return json;
}

Json json_of(const DeviceBenchOptions& options, const DeviceInfo& info,
             const std::vector<Row>& rows, const Ceilings& c) {
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(json_of(row));
  return {{"commit", version::commit},
          {"device", to_string(info.id)},
          {"name", info.name},
          {"driver", info.driver},
          {"shape", {options.n, options.k}},
          {"ceiling_bytes_per_second", c.read_bytes_per_second},
          {"bf16_flops_per_second", c.bf16_flops_per_second},
          {"f32_flops_per_second", c.f32_flops_per_second},
          {"rows", list}};
}

void run(const DeviceBenchOptions& options) {
  const std::unique_ptr<Device> device = open_device(options.device, {});
  Ceilings ceilings = measure_ceilings(*device);
  std::vector<Row> rows;
  for (const DType dtype : options.dtypes)
    for (const std::int64_t batch : options.batches) {
      rows.push_back(measure_row(*device, options, dtype, batch));
      fmt::print(stderr, "{} x{}: {:.1f} us\n", dtype_info(dtype).name, batch,
                 rows.back().seconds * 1e6);
    }
  ceilings = better(ceilings, measure_ceilings(*device));
  if (options.json)
    fmt::print("{}\n", json_of(options, device->info(), rows, ceilings).dump(1));
  else
    fmt::print("{}", table(device->info(), rows, ceilings));
}

}  // namespace
}  // namespace strata::bench

int main(int argc, char** argv) {
  namespace bench = strata::bench;
  return bench::run_program([&] {
    const bench::DeviceBenchOptions options = bench::parse_device_options(argc, argv);
    if (options.help)
      fmt::print("{}", bench::kDeviceBenchHelp);
    else
      bench::run(options);
  });
}
