#include "apps/cli/overrides.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/placement.h"
#include "runtime/core/error.h"

namespace strata::cli {
namespace {

// llama.cpp's names of the experts' matrices ("chexps" are those of models that share chunks), and
// those of Hugging Face's files.
constexpr std::string_view kExperts =
    R"(\.(ffn_(up|down|gate|gate_up)_(ch|)exps|mlp\.experts|block_sparse_moe\.experts)\.)";

[[noreturn]] void refuse(std::string_view subject, std::string detail) {
  throw Error(ErrorCode::usage, std::string(subject), std::move(detail),
              "-ot PATTERN=DEVICE, such as -ot 'blk\\.[0-9]\\.=CPU'");
}

TensorOverride parse_rule(std::string_view subject, std::string_view rule) {
  const std::size_t equals = rule.find('=');
  if (equals == std::string_view::npos)
    refuse(subject, fmt::format("\"{}\" names no device", rule));
  if (equals == 0) refuse(subject, fmt::format("\"{}\" has no pattern", rule));
  const std::string_view name = rule.substr(equals + 1);
  const std::optional<DeviceId> device = device_named(name);
  if (!device)
    refuse(subject, fmt::format("\"{}\" in \"{}\" is not the name of a device", name, rule));
  return {std::string(rule.substr(0, equals)), *device};
}

}  // namespace

std::string expert_pattern() { return std::string(kExperts); }

std::string expert_pattern(std::int64_t layer) {
  return fmt::format(R"(^(blk|model\.layers)\.{}{})", layer, kExperts);
}

std::vector<TensorOverride> parse_tensor_overrides(std::string_view subject,
                                                   std::string_view text) {
  std::vector<TensorOverride> rules;
  while (true) {
    const std::size_t comma = text.find(',');
    rules.push_back(parse_rule(subject, text.substr(0, comma)));
    if (comma == std::string_view::npos) return rules;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace strata::cli
