#include "bench/devices/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "runtime/core/error.h"

namespace strata::bench {

const char kDeviceBenchHelp[] =
    "bench_devices [OPTION]...\n"
    "Measures products of a weight with 1 to 512 rows on one device, any that strata devices "
    "lists,\n"
    "on weights that are generated and stay in its memory, and beside them what the device copies\n"
    "and multiplies at best (docs/benchmarks.md). Lists are separated by commas.\n"
    "  --device NAME   (cuda:0)\n"
    "  --dtype LIST    weight types: Q4_0,BF16 (all)\n"
    "  --batch LIST    rows of activations (1,2,4,8,16,64,128,512)\n"
    "  --shape NxK     rows and columns of the weight (4096x4096)\n"
    "  --seconds S     per row of the table (0.2)\n"
    "  --json          one JSON object instead of a table\n";

namespace {

Error usage_error(std::string_view option, const std::string& what) {
  return Error(ErrorCode::usage, std::string(option), what,
               "bench_devices --help lists the options");
}

std::vector<std::string_view> split(std::string_view list, char separator) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(separator), list.size());
    parts.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
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

void set_option(DeviceBenchOptions& options, std::string_view name, std::string_view value) {
  if (name == "--device") {
    options.device = value;
  } else if (name == "--dtype") {
    for (const std::string_view part : split(value, ',')) {
      const std::optional<DType> dtype = dtype_of_name(std::string(part));
      if (!dtype) throw usage_error(name, fmt::format("\"{}\" is not a type", part));
      options.dtypes.push_back(*dtype);
    }
  } else if (name == "--batch") {
    for (const std::string_view part : split(value, ','))
      options.batches.push_back(number<std::int64_t>(name, part));
  } else if (name == "--shape") {
    const auto sides = split(value, 'x');
    if (sides.size() != 2) throw usage_error(name, fmt::format("\"{}\" is not NxK", value));
    options.n = number<std::int64_t>(name, sides[0]);
    options.k = number<std::int64_t>(name, sides[1]);
  } else if (name == "--seconds") {
    options.seconds = number<double>(name, value);
  } else {
    throw usage_error(name, "is no option");
  }
}

}  // namespace

DeviceBenchOptions parse_device_options(int argc, const char* const* argv) {
  DeviceBenchOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      options.json = true;
    } else if (name == "--help" || name == "-h") {
      options.help = true;
    } else {
      if (i + 1 == argc) throw usage_error(name, "has no value, or is no option");
      set_option(options, name, argv[++i]);
    }
  }
  if (options.dtypes.empty())
    for (const DTypeInfo& info : kDTypes)
      if (info.dtype != DType::I8 && info.dtype != DType::I32) options.dtypes.push_back(info.dtype);
  if (options.batches.empty()) options.batches = {1, 2, 4, 8, 16, 64, 128, 512};
  return options;
}

}  // namespace strata::bench
