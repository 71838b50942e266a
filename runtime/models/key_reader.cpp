#include "runtime/models/key_reader.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace strata {

KeyReader::KeyReader(const Metadata& metadata)
    : metadata_(metadata), architecture_(metadata.require_string("general.architecture")) {}

std::int64_t KeyReader::require(std::string_view suffix, std::int64_t min, std::int64_t max) const {
  const std::optional<std::int64_t> value = find(suffix, min, max);
  if (!value) fail(suffix, "is missing");
  return *value;
}

std::optional<std::int64_t> KeyReader::find(std::string_view suffix, std::int64_t min,
                                            std::int64_t max) const {
  return metadata_.find_i64(key(suffix), min, max);
}

double KeyReader::number(std::string_view suffix, double fallback, double min, double max) const {
  return metadata_.find_f64(key(suffix), min, max).value_or(fallback);
}

std::optional<std::string_view> KeyReader::text(std::string_view suffix) const {
  return metadata_.find_string(key(suffix));
}

std::optional<std::int64_t> KeyReader::find_uniform(std::string_view suffix, std::int64_t layers,
                                                    std::int64_t min, std::int64_t max) const {
  const auto list = metadata_.find_u32_per_layer(key(suffix), static_cast<std::size_t>(layers),
                                                 static_cast<std::uint32_t>(min),
                                                 static_cast<std::uint32_t>(max));
  if (!list) return std::nullopt;
  for (std::uint32_t value : *list)
    if (value != list->front())
      throw Error(ErrorCode::unsupported_model, metadata_.file(),
                  fmt::format("key {}: differs between layers ({} and {}), which the architecture "
                              "\"{}\" is not supported with",
                              key(suffix), list->front(), value, architecture_));
  return list->front();
}

void KeyReader::fail(std::string_view suffix, const std::string& detail) const {
  metadata_.fail(key(suffix), detail);
}

}  // namespace strata
