#include "runtime/weights/flatten_json.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxValues = 262'144;

class Flattener {
 public:
  Flattener(const std::string& file_name, std::deque<std::string>& texts)
      : metadata_(file_name), file_name_(file_name), texts_(texts) {}

  Metadata run(std::string_view text) {
    const Json object = parse(text);
    if (!object.is_object()) fail("is no JSON object");
    for (const auto& [key, value] : object.items()) add(key, value);
    return std::move(metadata_);
  }

 private:
  [[noreturn]] void fail(const std::string& detail) const {
    throw Error(ErrorCode::bad_model, file_name_, detail, "download the file again");
  }

  Json parse(std::string_view text) const {
    std::vector<std::set<std::string>> keys(kMaxDepth + 1);  // of the objects that are open
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth >= kMaxDepth) fail(fmt::format("is nested deeper than {} levels", kMaxDepth));
      const auto level = static_cast<std::size_t>(depth);
      if (event == Json::parse_event_t::object_start) keys[level + 1].clear();
      if (event == Json::parse_event_t::key &&
          !keys[level].insert(parsed.get_ref<const std::string&>()).second)
        fail(fmt::format("has the key \"{}\" twice",
                         printable(parsed.get_ref<const std::string&>())));
      return true;
    };
    try {
      return Json::parse(text, watch);
    } catch (const Json::exception& error) {
      fail(fmt::format("is no JSON: {}", printable(error.what(), 200)));
    }
  }

  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  std::span<const std::byte> keep_bytes(std::string bytes) {
    return std::as_bytes(std::span(keep(std::move(bytes))));
  }

  template <class T>
  static void append(std::string& bytes, T number) {
    char raw[sizeof(T)];
    std::memcpy(raw, &number, sizeof(T));
    bytes.append(raw, sizeof(T));
  }

  static ValueType type_of(const Json& value) {
    if (value.is_string()) return ValueType::string;
    if (value.is_boolean()) return ValueType::boolean;
    if (value.is_number_float()) return ValueType::f64;
    if (!value.is_number_unsigned()) return ValueType::i64;
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return value.get<std::uint64_t>() > kMost ? ValueType::u64 : ValueType::i64;
  }

  static void append_as(ValueType type, std::string& bytes, const Json& value) {
    if (type == ValueType::boolean) append(bytes, static_cast<std::uint8_t>(value.get<bool>()));
    if (type == ValueType::f64) append(bytes, value.get<double>());
    if (type == ValueType::i64) append(bytes, value.get<std::int64_t>());
    if (type == ValueType::u64) append(bytes, value.get<std::uint64_t>());
    if (type == ValueType::string) bytes += value.get_ref<const std::string&>();
  }

  // The one type that all of a list's elements have or can be written in.
  static std::optional<ValueType> common_type(const Json& list) {
    std::optional<ValueType> common;
    for (const Json& value : list) {
      if (!value.is_primitive() || value.is_null()) return std::nullopt;
      const ValueType type = type_of(value);
      if (!common) common = type;
      if (*common == type) continue;
      if (!list.front().is_number() || !value.is_number()) return std::nullopt;
      common = ValueType::f64;
    }
    return common ? common : ValueType::i64;
  }

  void add(const std::string& key, const Json& value) {
    if (value.is_null()) return;
    if (value.is_object()) {
      for (const auto& [inner, entry] : value.items()) add(key + "." + inner, entry);
      return;
    }
    MetadataValue result;
    if (value.is_array()) {
      const std::optional<ValueType> element = common_type(value);
      if (!element) {
        for (std::size_t i = 0; i < value.size(); ++i) add(fmt::format("{}.{}", key, i), value[i]);
        return;
      }
      result.type = ValueType::array;
      result.element = *element;
      std::string bytes;
      for (const Json& entry : value) {
        if (*element == ValueType::string)
          result.strings.push_back(keep(entry.get<std::string>()));
        else
          append_as(*element, bytes, entry);
      }
      result.raw = keep_bytes(std::move(bytes));
    } else {
      std::string bytes;
      append_as(result.type = type_of(value), bytes, value);
      result.raw = keep_bytes(std::move(bytes));
    }
    if (metadata_.size() >= kMaxValues) fail(fmt::format("has more than {} values", kMaxValues));
    if (!metadata_.add(keep(key), std::move(result)))
      fail(fmt::format("has the key \"{}\" twice", printable(key)));
  }

  Metadata metadata_;
  const std::string& file_name_;
  std::deque<std::string>& texts_;
};

}  // namespace

Metadata flatten_json(std::string_view text, const std::string& file_name,
                      std::deque<std::string>& texts) {
  return Flattener(file_name, texts).run(text);
}

}  // namespace strata
