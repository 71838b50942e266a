#pragma once

#include <cstdint>
#include <string>

namespace strata {

/// "39.6 GiB", "512 B": bytes for people, in binary units with one decimal.
std::string bytes_text(std::uint64_t bytes);

}  // namespace strata
