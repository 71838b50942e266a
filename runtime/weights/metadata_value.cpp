#include <fmt/format.h>

#include <cstring>

#include "runtime/weights/metadata.h"
#include "runtime/weights/metadata_number.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

struct TypeRow {
  std::string_view name;
  std::size_t bytes;
};

// In the order of ValueType.
constexpr TypeRow kTypeRows[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                                 {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                                 {"u64", 8}, {"i64", 8}, {"f64", 8}};

std::string quoted(std::string_view text, std::size_t limit) {
  return "\"" + printable(text, limit) + "\"";
}

}  // namespace

std::string value_type_name(ValueType type) {
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(kTypeRows) ? std::string(kTypeRows[number].name)
                                       : fmt::format("type {}", number);
}

std::size_t value_type_bytes(ValueType type) {
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(kTypeRows) ? kTypeRows[number].bytes : 0;
}

Number read_number(ValueType type, const std::byte* bytes) {
  auto load = [bytes]<class T>(T value) {
    std::memcpy(&value, bytes, sizeof value);
    return value;
  };
  auto whole = [](WideInteger v) { return Number{Number::Kind::integer, v, 0}; };
  auto real = [](double v) { return Number{Number::Kind::real, 0, v}; };
  switch (type) {
    case ValueType::u8:
      return whole(load(std::uint8_t{}));
    case ValueType::i8:
      return whole(load(std::int8_t{}));
    case ValueType::u16:
      return whole(load(std::uint16_t{}));
    case ValueType::i16:
      return whole(load(std::int16_t{}));
    case ValueType::u32:
      return whole(load(std::uint32_t{}));
    case ValueType::i32:
      return whole(load(std::int32_t{}));
    case ValueType::u64:
      return whole(load(std::uint64_t{}));
    case ValueType::i64:
      return whole(load(std::int64_t{}));
    case ValueType::f32:
      return real(static_cast<double>(load(float{})));
    case ValueType::f64:
      return real(load(double{}));
    case ValueType::boolean:
      return {Number::Kind::boolean, load(std::uint8_t{}), 0};
    case ValueType::string:
    case ValueType::array:
      break;
  }
  return {};
}

std::string to_string(const Number& number) {
  switch (number.kind) {
    case Number::Kind::boolean:
      return number.integer != 0 ? "true" : "false";
    case Number::Kind::real:
      return fmt::format("{:.9g}", number.real);
    case Number::Kind::integer:
      return number.integer < 0 ? fmt::format("{}", static_cast<std::int64_t>(number.integer))
                                : fmt::format("{}", static_cast<std::uint64_t>(number.integer));
    case Number::Kind::none:
      break;
  }
  return "?";
}

std::uint64_t MetadataValue::count() const {
  if (!is_array()) return 1;
  if (element == ValueType::string) return strings.size();
  const std::size_t size = value_type_bytes(element);
  return size == 0 ? 0 : raw.size() / size;
}

std::string MetadataValue::type_name() const {
  return is_array() ? "array of " + value_type_name(element) : value_type_name(type);
}

std::string MetadataValue::to_text(std::size_t items, std::size_t text_bytes) const {
  if (type == ValueType::string) return quoted(text(), text_bytes);
  if (!is_array()) return to_string(read_number(type, raw.data()));
  std::string out = "[";
  for (std::uint64_t i = 0; i < count() && i < items; ++i) {
    if (i > 0) out += ", ";
    out += element == ValueType::string
               ? quoted(strings[i], text_bytes)
               : to_string(read_number(element, raw.data() + i * value_type_bytes(element)));
  }
  if (count() > items) out += fmt::format(", ... {} more", count() - items);
  return out + "]";
}

}  // namespace strata
