#include "runtime/text/hf_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::string_view kHint = "use the model's GGUF file";

std::string at(const std::string& where, std::string_view detail) {
  return where.empty() ? std::string(detail) : fmt::format("{}: {}", where, detail);
}

}  // namespace

HfFields::HfFields(const nlohmann::json& json, const std::string& subject, std::string where)
    : json_(json), subject_(subject), where_(std::move(where)) {
  if (!json_.is_object()) bad(fmt::format("is a {}, not an object", json_.type_name()));
}

void HfFields::unsupported(std::string_view detail) const {
  throw Error(ErrorCode::unsupported_model, subject_, at(where_, detail), std::string(kHint));
}

void HfFields::bad(std::string_view detail) const {
  throw Error(ErrorCode::bad_model, subject_, at(where_, detail));
}

std::string HfFields::place(std::string_view key) const {
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

const nlohmann::json* HfFields::find(std::string_view key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> HfFields::text(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) bad(fmt::format("{} is a {}, not a text", key, value->type_name()));
  return value->get<std::string>();
}

std::string HfFields::require_text(std::string_view key) const {
  auto value = text(key);
  if (!value) bad(fmt::format("{} is missing", key));
  return *std::move(value);
}

std::optional<bool> HfFields::flag(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) bad(fmt::format("{} is a {}, not a bool", key, value->type_name()));
  return value->get<bool>();
}

std::optional<std::int64_t> HfFields::integer(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    bad(fmt::format("{} is a {}, not an integer", key, value->type_name()));
  }
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (value->is_number_unsigned()) {
    return static_cast<std::int64_t>(std::min(value->get<std::uint64_t>(), most));
  }
  return value->get<std::int64_t>();
}

const nlohmann::json* HfFields::list(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value != nullptr && !value->is_array()) {
    bad(fmt::format("{} is a {}, not a list", key, value->type_name()));
  }
  return value;
}

HfFields HfFields::object(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) bad(fmt::format("{} is missing", key));
  return {*value, subject_, place(key)};
}

void HfFields::only(std::initializer_list<std::string_view> known) const {
  for (const auto& item : json_.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      unsupported(fmt::format("\"{}\" is not known", printable(item.key(), 64)));
    }
  }
}

}  // namespace strata::text
