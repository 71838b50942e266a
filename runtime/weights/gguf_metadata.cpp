#include <fmt/format.h>

#include <utility>

#include "runtime/weights/gguf_cursor.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

ValueType read_type(GgufCursor& cursor, std::string_view what) {
  const auto number = cursor.read<std::uint32_t>(what);
  if (number > static_cast<std::uint32_t>(ValueType::f64))
    cursor.fail(
        fmt::format("{} is {} at offset {}, wanted 0 to 12", what, number, cursor.offset() - 4));
  return static_cast<ValueType>(number);
}

/// GGUF stores a bool as one byte, 0 or 1; anything else is a damaged file.
void check_bools(GgufCursor& cursor, std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] > std::byte{1})
      cursor.fail(fmt::format("bool at offset {} is {}, wanted 0 or 1",
                              cursor.offset() - bytes.size() + i,
                              std::to_integer<unsigned>(bytes[i])));
}

void read_string_array(GgufCursor& cursor, std::uint64_t count, MetadataValue& value) {
  constexpr std::uint64_t kMinStringBytes = 8;
  if (count > cursor.remaining() / kMinStringBytes)
    cursor.fail(fmt::format("array of {} strings at offset {} does not fit in the {} bytes left",
                            count, cursor.offset(), cursor.remaining()));
  cursor.charge(Checked(count) * sizeof(std::string_view),
                fmt::format("an array of {} strings", count));
  value.strings.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i)
    value.strings.push_back(cursor.read_text("string of an array"));
}

void read_array(GgufCursor& cursor, MetadataValue& value) {
  value.element = read_type(cursor, "array element type");
  const auto count = cursor.read<std::uint64_t>("array length");
  if (value.element == ValueType::array)
    cursor.fail(fmt::format("array of arrays at offset {}: nested arrays are not read",
                            cursor.offset() - 12),
                "convert the model again with a current converter");
  if (value.element == ValueType::string) return read_string_array(cursor, count, value);
  const auto bytes = (Checked(count) * value_type_bytes(value.element)).value();
  if (!bytes || *bytes > cursor.remaining())
    cursor.fail(fmt::format("array of {} {} at offset {} does not fit in the {} bytes left", count,
                            value_type_name(value.element), cursor.offset(), cursor.remaining()));
  value.raw = cursor.read_bytes("array", *bytes);
  if (value.element == ValueType::boolean) check_bools(cursor, value.raw);
}

MetadataValue read_value(GgufCursor& cursor) {
  MetadataValue value;
  value.type = read_type(cursor, "value type");
  if (value.type == ValueType::array) {
    read_array(cursor, value);
  } else if (value.type == ValueType::string) {
    const std::string_view text = cursor.read_text("string");
    value.raw = std::as_bytes(std::span(text));
  } else {
    value.raw = cursor.read_bytes("value", value_type_bytes(value.type));
    if (value.type == ValueType::boolean) check_bools(cursor, value.raw);
  }
  return value;
}

}  // namespace

Metadata read_gguf_metadata(GgufCursor& cursor, std::uint64_t count) {
  const auto entries = static_cast<std::size_t>(count);
  cursor.charge(Checked(entries) * sizeof(MetadataEntry) + NameIndex::bytes_for(entries),
                fmt::format("{} key/value pairs", count));
  Metadata metadata(cursor.file_name(), entries);
  for (std::uint64_t i = 0; i < count; ++i) {
    cursor.begin_item("key", i);
    const std::string_view key = cursor.read_name("key", cursor.limits().key_bytes);
    cursor.name_item(key);
    // No key of any model looks like a path; a program that makes file names of keys is safer so.
    if (key.find("../") != std::string_view::npos)
      cursor.fail(fmt::format("the key at offset {} holds \"../\"", cursor.offset() - key.size()));
    const std::uint64_t at = cursor.offset();
    MetadataValue value = read_value(cursor);
    const std::string type = value.type_name();
    if (!metadata.add(key, std::move(value)))
      cursor.fail(fmt::format("appears twice: as {}, and as {} at offset {}",
                              metadata.find(key)->type_name(), type, at));
  }
  return metadata;
}

}  // namespace strata
