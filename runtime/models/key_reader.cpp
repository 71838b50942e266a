#include "runtime/models/key_reader.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace strata {

namespace {

struct HfName {
  std::string_view suffix;
  std::string_view name;
};
constexpr HfName kHfNames[] = {
#define STRATA_HF_NAME(suffix, name) {suffix, name},
#include "runtime/models/hf_names.def"
#undef STRATA_HF_NAME
};

}  // namespace

KeyReader::KeyReader(const Metadata& metadata, WeightOrder order)
    : metadata_(metadata),
      architecture_(metadata.require_string("general.architecture")),
      order_(order) {}

std::string KeyReader::key(std::string_view suffix) const {
  if (order_ == WeightOrder::gguf) return architecture_ + "." + std::string(suffix);
  std::string_view first;
  for (const HfName& name : kHfNames) {
    if (name.suffix != suffix) continue;
    if (metadata_.contains(name.name)) return std::string(name.name);
    if (first.empty()) first = name.name;
  }
  return std::string(first);
}

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
  return number_at(key(suffix), min, max).value_or(fallback);
}

std::optional<double> KeyReader::number_at(std::string_view key, double min, double max) const {
  const MetadataValue* value = metadata_.find(key);
  const bool whole = value != nullptr && (value->type == ValueType::i64);
  // JSON does not tell 10000 from 10000.0.
  if (order_ == WeightOrder::gguf || !whole) return metadata_.find_f64(key, min, max);
  const auto integer = static_cast<double>(*metadata_.find_i64(key));
  if (integer < min || integer > max)
    metadata_.fail(key, fmt::format("is {}, wanted {} to {}", integer, min, max));
  return integer;
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
