#include "apps/bench/fields.h"

#include <strata_version.h>

#include <algorithm>

namespace strata::apps {
namespace {

using Json = nlohmann::ordered_json;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::vector<double> as_numbers(const std::vector<std::int64_t>& samples) {
  return {samples.begin(), samples.end()};
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

std::string_view path_name(MatmulPath path) {
  if (path == MatmulPath::int8) return "int8";
  return path == MatmulPath::bf16 ? "bf16" : "f32";
}

std::string backend_text(const BenchResult& result) {
  std::string name(backend_name(result.device.id.backend));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

}  // namespace

Json llama_bench_fields(const BenchResult& result) {
  const BenchCase& test = result.test;
  const std::vector<double> ns = as_numbers(result.samples_ns);
  const std::vector<double> rates = result.tokens_per_second();
  return {{"build_commit", std::string(version::commit)},
          {"build_number", 0},
          {"cpu_info", result.device.name},
          {"gpu_info", ""},
          {"backends", backend_text(result)},
          {"model_filename", test.setup.model},
          {"model_type", result.model.type},
          {"model_size", result.model.bytes},
          {"model_n_params", result.model.parameters},
          {"n_batch", test.setup.batch},
          {"n_ubatch", test.setup.micro_batch},
          {"n_threads", result.device.compute_units},
          {"cpu_mask", "0x0"},
          {"cpu_strict", false},
          {"poll", 0},
          {"type_k", lower(dtype_info(test.setup.type_k).name)},
          {"type_v", lower(dtype_info(test.setup.type_v).name)},
          {"n_gpu_layers", 0},
          {"n_cpu_moe", 0},
          {"split_mode", "none"},
          {"main_gpu", 0},
          {"no_kv_offload", false},
          {"flash_attn", 1},
          {"devices", to_string(result.device.id)},
          {"tensor_split", "0.00"},
          {"tensor_buft_overrides", "none"},
          {"load_mode", result.mapped ? "mmap" : "none"},
          {"embeddings", false},
          {"no_op_offload", 0},
          {"no_host", false},
          {"fit_target", 0},
          {"fit_min_ctx", 0},
          {"n_prompt", test.prompt},
          {"n_gen", test.generate},
          {"n_depth", test.depth},
          {"test_time", result.time},
          {"avg_ns", static_cast<std::int64_t>(average(ns))},
          {"stddev_ns", static_cast<std::int64_t>(deviation(ns))},
          {"avg_ts", average(rates)},
          {"stddev_ts", deviation(rates)}};
}

Json own_bench_fields(const BenchResult& result) {
  const BenchShare share = share_of_ceiling(result);
  return {{"median_ts", median(result.tokens_per_second())},
          {"isa", result.device.arch},
          {"bytes_per_token", or_null(share.bytes_per_token)},
          {"read_bytes_per_second", or_null(share.read_bytes_per_second)},
          {"read_ceiling", or_null(share.read_ceiling)},
          {"flops", or_null(share.flops)},
          {"flops_per_second", or_null(share.flops_per_second)},
          {"flops_ceiling", or_null(share.flops_ceiling)},
          {"matmul_path", share.path ? Json(path_name(*share.path)) : Json()},
          {"ceiling_share", or_null(share.share)},
          {"foreign_cpu_share", or_null(result.foreign_cpu)}};
}

}  // namespace strata::apps
