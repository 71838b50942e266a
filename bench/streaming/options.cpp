#include "bench/streaming/options.h"

#include <fmt/format.h>

#include <string_view>

#include "apps/cli/values.h"
#include "runtime/core/error.h"

namespace strata::bench {

const char kHelp[] =
    "bench_streaming -m FILE [OPTION]...\n"
    "Decodes with a model in memory and with less memory than it needs, in turns, beside what the\n"
    "links that weights pass can carry, measured in the same rounds (docs/streaming.md).\n"
    "  -m, --model FILE\n"
    "  --device NAME       where to compute (cpu)\n"
    "  --device-mem LIST   budgets: 600MiB,2GiB (3/4, 1/2 and 1/4 of what the model takes)\n"
    "  --host-mem SIZE     memory of the host that a stream may take (half of what is free)\n"
    "  --upload SIZE       a simulated device on a virtual clock, whose copies carry SIZE a "
    "second\n"
    "  --disk SIZE         what its disk reads a second (with --upload; else it takes no time)\n"
    "  --prompt N          tokens before (16)\n"
    "  --tokens N          decoded in each round (8)\n"
    "  --rounds N          (5)\n"
    "  --read METHOD       mapped, buffered or direct (the one that is fastest now)\n"
    "  --no-resident       leave out the model in memory: it may not fit\n"
    "  --mapping           also without a plan: computed from the mapping of the file\n"
    "  -t, --threads N     (all usable CPUs)\n"
    "  --json              one JSON object instead of a table\n";

namespace {

Error usage_error(std::string_view option, const std::string& what) {
  return Error(ErrorCode::usage, std::string(option), what,
               "bench_streaming --help lists the options");
}

std::int64_t number(std::string_view option, std::string_view text) {
  const auto value = cli::parse_integer(text);
  if (!value || *value < 1 || *value > 1'000'000)
    throw usage_error(option, fmt::format("\"{}\" is not a number of 1 to 1000000", text));
  return *value;
}

std::uint64_t size(std::string_view option, std::string_view text) {
  const cli::ByteSize parsed = cli::parse_byte_size(text);
  if (!parsed.wrong.empty()) throw usage_error(option, parsed.wrong);
  return static_cast<std::uint64_t>(parsed.bytes);
}

std::vector<std::uint64_t> sizes(std::string_view option, std::string_view list) {
  std::vector<std::uint64_t> found;
  while (true) {
    const std::size_t comma = list.find(',');
    found.push_back(size(option, list.substr(0, comma)));
    if (comma == std::string_view::npos) return found;
    list.remove_prefix(comma + 1);
  }
}

ReadMethod method(std::string_view option, std::string_view text) {
  for (const ReadMethod known : {ReadMethod::mapped, ReadMethod::buffered, ReadMethod::direct})
    if (method_name(known) == text) return known;
  throw usage_error(option, fmt::format("\"{}\" is not mapped, buffered or direct", text));
}

// An option with a value; false: there is none of that name.
bool set(Options& options, std::string_view name, std::string_view value) {
  if (name == "-m" || name == "--model")
    options.model = value;
  else if (name == "--device")
    options.device = value;
  else if (name == "--device-mem")
    options.budgets = sizes(name, value);
  else if (name == "--host-mem")
    options.host = size(name, value);
  else if (name == "--upload")
    options.upload = static_cast<double>(size(name, value));
  else if (name == "--read")
    options.method = method(name, value);
  else if (name == "--disk")
    options.disk = static_cast<double>(size(name, value));
  else if (name == "--prompt")
    options.prompt = number(name, value);
  else if (name == "--tokens")
    options.tokens = number(name, value);
  else if (name == "--rounds")
    options.rounds = number(name, value);
  else if (name == "-t" || name == "--threads")
    options.threads = static_cast<int>(number(name, value));
  else
    return false;
  return true;
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "-h" || name == "--help") {
      options.help = true;
      return options;
    }
    if (name == "--json") {
      options.json = true;
    } else if (name == "--no-resident") {
      options.resident = false;
    } else if (name == "--mapping") {
      options.mapping = true;
    } else if (!set(options, name, i + 1 < argc ? argv[i + 1] : "")) {
      throw usage_error(name, "is no option of bench_streaming");
    } else {
      ++i;
    }
  }
  if (options.model.empty()) throw usage_error("--model", "is not given");
  if (options.disk > 0 && options.upload <= 0)
    throw usage_error("--disk", "is that of a simulated device, which --upload asks for");
  return options;
}

}  // namespace strata::bench
