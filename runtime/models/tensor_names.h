#pragma once

#include <string>

#include "runtime/models/architecture.h"

namespace strata {

/// The tensors that belong to no layer.
std::span<const TensorRule> model_tensors();

/// Whether a rule's weight is one tensor per expert in such a file.
inline bool is_per_expert(const TensorRule& rule, WeightOrder order) {
  return order == WeightOrder::hugging_face && rule.hf_name.find('*') != std::string_view::npos;
}

/// What the file calls a rule's tensor, of layer -1 for the model's own; `expert` counts where
/// is_per_expert() and is ignored elsewhere, negative: "*".
std::string tensor_name(const TensorRule& rule, WeightOrder order, std::int32_t layer,
                        std::int64_t expert);

/// What a file of transformers 5 calls it, if otherwise; empty: as tensor_name() says.
std::string fused_tensor_name(const TensorRule& rule, WeightOrder order, std::int32_t layer);

}  // namespace strata
