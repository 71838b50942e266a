#pragma once

#include "runtime/models/architecture.h"
#include "runtime/models/key_reader.h"

namespace strata {

/// Refuses a config.json that says anything which Strata does not honour: a quantization_config, an
/// activation other than SiLU, a key that is not known (hf_keys.def). `keys` are those of a Hugging
/// Face model of this architecture. Throws Error{unsupported_model} or Error{bad_model} naming the
/// key and its value.
void check_hf_config(const Architecture& architecture, const KeyReader& keys);

/// Reads the rotary embedding: rope_theta, and rope_scaling (transformers 4) or rope_parameters
/// (5). Throws Error{unsupported_model} for other scalings than linear, yarn and llama3.
void read_hf_rope(const KeyReader& keys, ModelConfig& config);

/// The attention window, 0 where all positions are seen. Throws Error{unsupported_model} where only
/// some layers have one.
std::int64_t read_hf_window(const KeyReader& keys, std::int64_t layers);

/// Whether the model has the bias of this rule, which other models of the architecture lack, as
/// config.json says it (attention_bias, mlp_bias).
bool hf_wants_bias(const KeyReader& keys, const TensorRule& rule);

}  // namespace strata
