#include "bench/kernels/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "runtime/core/error.h"

namespace strata::bench {

const char kHelp[] =
    "bench_kernels [OPTION]...\n"
    "Measures the CPU's matmuls, attention and barrier, each in turn with what the machine could\n"
    "do at best (docs/performance.md). Lists are separated by commas.\n"
    "  --op LIST       matmul, attention, barrier (all)\n"
    "  --dtype LIST    weight types (all): Q4_0,BF16\n"
    "  --shape LIST    parts of model/weight names (all): llama-8b/attn,qwen3-0.6b\n"
    "  --batch LIST    tokens per run (1,2,4,8,16,64,512)\n"
    "  --cache LIST    types of the KV cache (F16,BF16,Q8_0)\n"
    "  --depth LIST    tokens in the cache before the run (512,8192)\n"
    "  --isa NAME      instruction set (the best)\n"
    "  -t, --threads N (all usable CPUs)\n"
    "  --seconds S     per row (0.3)\n"
    "  --json          one JSON object instead of a table\n";

namespace {

Error usage_error(std::string_view option, const std::string& what) {
  return Error(ErrorCode::usage, std::string(option), what,
               "bench_kernels --help lists the options");
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

template <class Number>
Number number(std::string_view option, std::string_view text) {
  Number value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !(value > 0))
    throw usage_error(option, fmt::format("\"{}\" is not a number above 0", text));
  return value;
}

std::vector<DType> dtypes(std::string_view option, std::string_view list) {
  std::vector<DType> found;
  for (const std::string& name : split(list)) {
    const std::optional<DType> dtype = dtype_of_name(name);
    if (!dtype) throw usage_error(option, fmt::format("\"{}\" is not a type", name));
    found.push_back(*dtype);
  }
  return found;
}

std::vector<std::int64_t> numbers(std::string_view option, std::string_view list) {
  std::vector<std::int64_t> values;
  for (const std::string& text : split(list)) values.push_back(number<std::int64_t>(option, text));
  return values;
}

bool set_option(Options& options, std::string_view name, std::string_view value) {
  if (name == "--op") {
    options.ops = split(value);
  } else if (name == "--dtype") {
    options.dtypes = dtypes(name, value);
  } else if (name == "--shape") {
    options.shapes = split(value);
  } else if (name == "--batch") {
    options.batches = numbers(name, value);
  } else if (name == "--cache") {
    options.caches = dtypes(name, value);
  } else if (name == "--depth") {
    options.depths = numbers(name, value);
  } else if (name == "--isa") {
    options.isa = value;
  } else if (name == "-t" || name == "--threads") {
    options.threads = number<int>(name, value);
  } else if (name == "--seconds") {
    options.seconds = number<double>(name, value);
  } else {
    return false;
  }
  return true;
}

void set_defaults(Options& options) {
  if (options.dtypes.empty())
    for (const DTypeInfo& info : kDTypes)
      if (info.dtype != DType::I8 && info.dtype != DType::I32) options.dtypes.push_back(info.dtype);
  if (options.caches.empty()) options.caches = {DType::F16, DType::BF16, DType::Q8_0};
  if (options.batches.empty()) options.batches = {1, 2, 4, 8, 16, 64, 512};
  if (options.depths.empty()) options.depths = {512, 8192};
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      options.json = true;
    } else if (name == "--help" || name == "-h") {
      options.help = true;
    } else {
      if (i + 1 == argc) throw usage_error(name, "has no value, or is no option");
      if (!set_option(options, name, argv[++i])) throw usage_error(name, "is no option");
    }
  }
  set_defaults(options);
  return options;
}

bool wants_shape(const Options& options, const std::string& name) {
  return options.shapes.empty() ||
         std::any_of(options.shapes.begin(), options.shapes.end(),
                     [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

bool wants_op(const Options& options, const std::string& op) {
  return options.ops.empty() ||
         std::find(options.ops.begin(), options.ops.end(), op) != options.ops.end();
}

}  // namespace strata::bench
