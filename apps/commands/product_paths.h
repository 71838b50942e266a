#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "runtime/core/product_paths.h"

namespace strata::apps {

/// Fields of a device: null where its kind does not differ in them.
nlohmann::ordered_json paths_json(const ProductPaths& paths);

/// Lines of a device, indented as `strata devices` and `strata doctor` do it; "" where there is
/// nothing to say.
std::string paths_text(const ProductPaths& paths);

}  // namespace strata::apps
