// The rotary embedding of a Hugging Face config.json, as transformers reads it (its
// modeling_rope_utils).
#include <fmt/format.h>

#include <cmath>

#include "runtime/core/error.h"
#include "runtime/models/hf_config.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr std::int64_t kMaxContext = 1 << 28;

// The keys of one of the two objects.
class RopeKeys {
 public:
  explicit RopeKeys(const KeyReader& keys) : keys_(keys) {
    bool found[2] = {false, false};
    for (const MetadataEntry& entry : keys.metadata().entries())
      for (int i = 0; i < 2; ++i)
        if (entry.key.starts_with(kObjects[i])) found[i] = true;
    if (found[0] && found[1])
      keys.metadata().fail("rope_scaling", "stands beside rope_parameters: only one is expected");
    prefix_ = kObjects[found[0] ? 0 : 1];
    for (const MetadataEntry& entry : keys.metadata().entries())
      if (entry.key.starts_with(prefix_)) check_known(entry);
  }

  std::string key(std::string_view name) const { return std::string(prefix_) + std::string(name); }

  // transformers called it `type` at first.
  std::string type_key() const {
    const std::string before = key("type");
    return keys_.metadata().contains(before) ? before : key("rope_type");
  }
  std::string_view type() const {
    const Metadata& config = keys_.metadata();
    const auto now = config.find_string(key("rope_type"));
    const auto before = config.find_string(key("type"));
    if (now && before && *now != *before)
      config.fail(key("rope_type"), fmt::format("is \"{}\", and {} is \"{}\"", printable(*now),
                                                key("type"), printable(*before)));
    if (!now && !before && config.contains(key("factor")))
      config.fail(key("rope_type"), "is missing");
    return now ? *now : before.value_or("default");
  }

  std::optional<double> number(std::string_view name, double min, double max) const {
    return keys_.number_at(key(name), min, max);
  }
  double require(std::string_view name, double min, double max) const {
    const auto value = number(name, min, max);
    if (!value) keys_.metadata().fail(key(name), "is missing");
    return *value;
  }
  std::optional<std::int64_t> context() const {
    return keys_.metadata().find_i64(key("original_max_position_embeddings"), 1, kMaxContext);
  }
  [[noreturn]] void fail(std::string_view name, const std::string& detail) const {
    keys_.metadata().fail(key(name), detail);
  }
  std::optional<bool> flag(std::string_view name) const {
    return keys_.metadata().find_bool(key(name));
  }

 private:
  static constexpr std::string_view kObjects[] = {"rope_scaling.", "rope_parameters."};
  static constexpr std::string_view kKnown[] = {"rope_type",
                                                "type",
                                                "rope_theta",
                                                "factor",
                                                "original_max_position_embeddings",
                                                "low_freq_factor",
                                                "high_freq_factor",
                                                "attention_factor",
                                                "beta_fast",
                                                "beta_slow",
                                                "mscale",
                                                "mscale_all_dim",
                                                "truncate"};

  void check_known(const MetadataEntry& entry) const {
    const std::string_view name = entry.key.substr(prefix_.size());
    for (std::string_view known : kKnown)
      if (name == known) return;
    if (name == "partial_rotary_factor" && number(name, 0.0, 1.0) == 1.0) return;
    throw Error(ErrorCode::unsupported_model, keys_.metadata().file(),
                fmt::format("key {}: is {}, which Strata does not honour", printable(entry.key),
                            entry.value.to_text()));
  }

  const KeyReader& keys_;
  std::string_view prefix_;
};

double yarn_magnitude(double factor, double scale) {
  return factor <= 1.0 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

void read_yarn(const RopeKeys& keys, ModelConfig& c) {
  RopeConfig& rope = c.rope;
  rope.original_context = keys.context().value_or(c.context);
  const double stretch =
      static_cast<double>(c.context) / static_cast<double>(rope.original_context);
  rope.factor = keys.number("factor", 1e-3, 1e6).value_or(stretch);
  rope.beta_fast = keys.number("beta_fast", 1e-3, 1e6).value_or(32.0);
  rope.beta_slow = keys.number("beta_slow", 1e-3, 1e6).value_or(1.0);
  rope.truncate = keys.flag("truncate").value_or(true);
  // Here the factor is the whole magnitude; in RopeConfig it multiplies YaRN's own.
  const double own = yarn_magnitude(rope.factor, 1.0);
  const double mscale = keys.number("mscale", 0.0, 1e3).value_or(0.0);
  const double all_dim = keys.number("mscale_all_dim", 0.0, 1e3).value_or(0.0);
  double magnitude = own;
  if (mscale > 0 && all_dim > 0)
    magnitude = yarn_magnitude(rope.factor, mscale) / yarn_magnitude(rope.factor, all_dim);
  magnitude = keys.number("attention_factor", 1e-3, 1e3).value_or(magnitude);
  rope.attention_factor = magnitude / own;
}

void read_llama3(const RopeKeys& keys, RopeConfig& rope) {
  rope.factor = keys.require("factor", 1.0, 1e6);
  rope.low_freq_factor = keys.require("low_freq_factor", 1e-3, 1e6);
  rope.high_freq_factor = keys.require("high_freq_factor", 1e-3, 1e6);
  if (rope.high_freq_factor <= rope.low_freq_factor)
    keys.fail("high_freq_factor", fmt::format("is {}, which is not above the low_freq_factor of {}",
                                              rope.high_freq_factor, rope.low_freq_factor));
  const auto context = keys.context();
  rope.original_context = context ? *context
                                  : static_cast<std::int64_t>(keys.require(
                                        "original_max_position_embeddings", 1, kMaxContext));
}

}  // namespace

void read_hf_rope(const KeyReader& keys, ModelConfig& c) {
  const RopeKeys rope_keys(keys);
  RopeConfig& rope = c.rope;
  if (c.head_dim % 2 != 0)
    keys.fail("attention.key_length", fmt::format("is {}, which is odd", c.head_dim));
  rope.rot_dim = static_cast<std::int32_t>(c.head_dim);
  constexpr double kLeastBase = 1.0 + 1e-6;
  auto base = rope_keys.number("rope_theta", kLeastBase, 1e18);
  if (!base) base = keys.number_at("rope_theta", kLeastBase, 1e18);
  // Mixtral's default is another one.
  if (!base && c.experts > 0) keys.metadata().fail("rope_theta", "is missing");
  rope.base = base.value_or(10000.0);
  const std::string_view type = rope_keys.type();
  if (type == "default") return;
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
    rope.factor = rope_keys.require("factor", 1e-3, 1e6);
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    read_yarn(rope_keys, c);
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    read_llama3(rope_keys, rope);
  } else {
    throw Error(ErrorCode::unsupported_model, keys.metadata().file(),
                fmt::format("key {}: rope scaling \"{}\" is not supported", rope_keys.type_key(),
                            printable(type)),
                "supported are default, linear, yarn and llama3");
  }
}

}  // namespace strata
