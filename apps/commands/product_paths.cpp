#include "apps/commands/product_paths.h"

#include <fmt/format.h>

namespace strata::apps {

using Json = nlohmann::ordered_json;

Json paths_json(const ProductPaths& paths) {
  const auto told = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"prompt_products", told(paths.prompts)},
          {"few_token_products", told(paths.few_tokens)},
          {"why_without_cooperative_matrices", told(paths.why_without_coopmat)}};
}

std::string paths_text(const ProductPaths& paths) {
  if (paths.prompts.empty()) return {};
  std::string text = fmt::format("{:<8} products: prompts by {}; few tokens by {}\n", "",
                                 paths.prompts, paths.few_tokens);
  if (!paths.why_without_coopmat.empty())
    text += fmt::format("{:<8} no cooperative matrices: {}\n", "", paths.why_without_coopmat);
  return text;
}

}  // namespace strata::apps
