#include "runtime/models/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

enum class Use : std::uint8_t { read, fixed, ignored };

struct KnownKey {
  std::string_view name;
  Use use;
  std::array<std::string_view, 2> values{};
};

constexpr KnownKey kKnown[] = {
#define STRATA_HF_NAME(suffix, name) {name, Use::read},
#include "runtime/models/hf_names.def"
#undef STRATA_HF_NAME
#define STRATA_HF_READ(name) {name, Use::read},
#define STRATA_HF_FIXED(name, value, other) {name, Use::fixed, {value, other}},
#define STRATA_HF_IGNORED(name) {name, Use::ignored},
#include "runtime/models/hf_keys.def"
#undef STRATA_HF_READ
#undef STRATA_HF_FIXED
#undef STRATA_HF_IGNORED
};

constexpr std::string_view kClasses[] = {"LlamaForCausalLM",   "MistralForCausalLM",
                                         "MixtralForCausalLM", "Qwen2ForCausalLM",
                                         "Qwen3ForCausalLM",   "Qwen3MoeForCausalLM"};
constexpr std::string_view kDtypes[] = {"float32", "float16", "bfloat16", "auto"};

[[noreturn]] void refuse(const Metadata& config, std::string_view key, const std::string& detail,
                         std::string hint = {}) {
  throw Error(ErrorCode::unsupported_model, config.file(),
              fmt::format("key {}: {}", printable(key), detail), std::move(hint));
}

const KnownKey* find_known(std::string_view key) {
  for (const KnownKey& known : kKnown)
    if (known.name.ends_with('.') ? key.starts_with(known.name) : key == known.name) return &known;
  return nullptr;
}

// Whether a value says that what its key stands for is off.
bool says_no(const MetadataValue& value) {
  const std::string text = value.to_text();
  return text == "false" || text == "[]" || text == "\"\"";
}

void check_quantization(const Metadata& config) {
  for (const MetadataEntry& entry : config.entries()) {
    const std::string_view key = entry.key.substr(0, entry.key.find('.'));
    if (key != "quantization_config" && key != "quantization" && key != "compression_config")
      continue;
    std::string method = std::string(key) + ".quant_method";
    const MetadataValue* value = config.find(method);
    refuse(config, key,
           fmt::format("the weights are quantized{}, which is not read from Hugging Face files",
                       value == nullptr ? "" : fmt::format(" (quant_method {})", value->to_text())),
           "use the model in BF16, F16 or F32, or as a GGUF file");
  }
}

template <std::size_t N>
void check_text(const Metadata& config, std::string_view key, std::string_view value,
                const std::string_view (&known)[N]) {
  if (std::find(std::begin(known), std::end(known), value) != std::end(known)) return;
  std::string list;
  for (std::string_view name : known) list += (list.empty() ? "" : ", ") + std::string(name);
  refuse(config, key, fmt::format("is \"{}\", which is not supported", printable(value)),
         "supported are " + list);
}

void check_experts(const Metadata& config) {
  // Mixtral always divides by the sum of the chosen experts' weights; of Qwen only some models do.
  if (config.require_string("model_type") == "mixtral" ||
      config.find_bool("norm_topk_prob").value_or(false))
    return;
  refuse(config, "norm_topk_prob",
         "is false or missing: experts whose weights are not made to sum to 1 are not supported");
}

void check_known(const MetadataEntry& entry, const Metadata& config) {
  const KnownKey* known = find_known(entry.key);
  if (known == nullptr && !says_no(entry.value))
    refuse(config, entry.key,
           fmt::format("is {}, and Strata does not know what that means", entry.value.to_text()),
           "remove the key from config.json if it has no bearing on what the model computes");
  if (known == nullptr || known->use != Use::fixed) return;
  const std::string text = entry.value.to_text();
  if (text != known->values[0] && text != known->values[1])
    refuse(config, entry.key,
           fmt::format("is {}, and only {} is supported", text, known->values[0]));
}

}  // namespace

void check_hf_config(const Architecture& architecture, const KeyReader& keys) {
  const Metadata& config = keys.metadata();
  check_quantization(config);
  if (const auto classes = config.find_string_array("architectures"))
    for (std::string_view name : *classes) check_text(config, "architectures", name, kClasses);
  for (const std::string_view key : {"torch_dtype", "dtype"})
    if (const auto dtype = config.find_string(key)) check_text(config, key, *dtype, kDtypes);
  for (const MetadataEntry& entry : config.entries())
    if (entry.key != "torch_dtype" && entry.key != "dtype") check_known(entry, config);
  if (keys.find("expert_count", 0, 1 << 20).value_or(0) > 0) check_experts(config);
  const auto optional_bias = [](const TensorRule& rule) {
    return !rule.required && rule.name.ends_with(".bias");
  };
  // Qwen2 has biases on Q, K and V whatever this key says.
  const bool has_biases = std::any_of(architecture.layer_tensors.begin(),
                                      architecture.layer_tensors.end(), optional_bias) ||
                          keys.architecture() == "qwen2";
  for (const std::string_view key : {"attention_bias", "mlp_bias"})
    if (!has_biases && config.find_bool(key).value_or(false))
      refuse(config, key,
             fmt::format("is true, and architecture \"{}\" is supported without biases only",
                         keys.architecture()));
}

bool hf_wants_bias(const KeyReader& keys, const TensorRule& rule) {
  const bool attention = rule.hf_name.starts_with("self_attn.");
  return keys.metadata().find_bool(attention ? "attention_bias" : "mlp_bias").value_or(false);
}

std::int64_t read_hf_window(const KeyReader& keys, std::int64_t layers) {
  const Metadata& config = keys.metadata();
  const auto window = config.find_i64("sliding_window", 1, 1 << 28);
  if (!window) return 0;
  const std::string_view type = config.require_string("model_type");
  if (type == "llama")
    refuse(config, "sliding_window",
           fmt::format("is {}, and models of type llama have none", *window));
  const bool qwen = type.starts_with("qwen");
  if (qwen && !config.find_bool("use_sliding_window").value_or(false)) return 0;
  std::int64_t with = layers;
  std::string_view key = "max_window_layers";
  if (const auto types = config.find_string_array("layer_types")) {
    key = "layer_types";
    with = std::count(types->begin(), types->end(), "sliding_attention");
    const auto full = std::count(types->begin(), types->end(), "full_attention");
    if (with + full != layers)
      config.fail(key, fmt::format("names {} layers of sliding_attention and {} of full_attention, "
                                   "wanted {} in all",
                                   with, full, layers));
  } else if (qwen && type != "qwen3_moe") {
    with -= config.find_i64(key, 0, 1 << 20).value_or(layers);
  }
  if (with > 0 && with < layers)
    refuse(
        config, key,
        fmt::format("the last {} of {} layers have an attention window of {}, which is supported "
                    "in all layers or in none",
                    with, layers, *window));
  return with > 0 ? *window : 0;
}

}  // namespace strata
