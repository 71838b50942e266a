#include "runtime/weights/gguf.h"

#include <fmt/format.h>

#include <bit>

#include "runtime/core/error.h"
#include "runtime/weights/foreign_format.h"
#include "runtime/weights/gguf_cursor.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr std::uint64_t kDefaultAlignment = 32;
// key length, one byte of key, type, one byte of value
constexpr std::uint64_t kMinKeyValueBytes = 8 + 1 + 4 + 1;
// name length, one byte of name, n_dims, one dimension, type, offset
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

void check_magic(GgufCursor& cursor, std::span<const std::byte> file) {
  if (file.empty()) cursor.fail("is empty (0 bytes)");
  if (file.size() >= 4) {
    const auto magic = cursor.read_bytes("magic", 4);
    const std::string_view text(reinterpret_cast<const char*>(magic.data()), magic.size());
    if (text == "GGUF") return;
    if (text == "FUGG")
      cursor.fail("begins with \"FUGG\": a big-endian GGUF file",
                  "convert it to little-endian (gguf_convert_endian.py)");
  }
  if (const auto foreign = recognise_foreign_format(file))
    cursor.fail(foreign->what, foreign->hint);
  const std::string_view start(reinterpret_cast<const char*>(file.data()),
                               std::min<std::size_t>(file.size(), 4));
  if (std::string_view("GGUF").starts_with(start))
    cursor.fail(fmt::format("magic needs 4 bytes, and the file has {}", file.size()));
  cursor.fail(fmt::format("is not a GGUF file: it begins with \"{}\"", printable(start)),
              "name a .gguf file");
}

std::uint32_t read_version(GgufCursor& cursor) {
  const auto version = cursor.read<std::uint32_t>("version");
  if (version == 2 || version == 3) return version;
  if (version == 1)
    cursor.fail("is GGUF version 1, which is no longer read (versions 2 and 3 are)",
                "download a newer conversion of the model");
  if (version != 0 && (version & 0xffffu) == 0)
    cursor.fail(fmt::format("version reads {:#010x}: this is a big-endian GGUF file", version),
                "convert it to little-endian (gguf_convert_endian.py)");
  cursor.fail(fmt::format("is GGUF version {}; versions 2 and 3 are read", version),
              version > 3 ? "update Strata, or convert the model to GGUF version 3" : "");
}

std::uint64_t read_count(GgufCursor& cursor, std::string_view what, std::uint64_t limit) {
  const auto count = cursor.read<std::uint64_t>(what);
  if (count > limit)
    cursor.fail(fmt::format("{} is {} at offset {}, more than the limit of {}", what, count,
                            cursor.offset() - 8, limit));
  return count;
}

void check_room(GgufCursor& cursor, std::string_view what, std::uint64_t count,
                std::uint64_t record_bytes) {
  if (count > cursor.remaining() / record_bytes)
    cursor.fail(fmt::format("{} is {}, which needs at least {} bytes, and the file has {} left",
                            what, count, count * record_bytes, cursor.remaining()));
}

std::uint64_t read_alignment(GgufCursor& cursor, const Metadata& metadata) {
  const MetadataValue* value = metadata.find("general.alignment");
  if (!value) return kDefaultAlignment;
  if (value->type != ValueType::u32)
    metadata.fail("general.alignment", fmt::format("is {} of type {}, wanted u32", value->to_text(),
                                                   value->type_name()));
  const std::uint64_t alignment = metadata.require_u32("general.alignment");
  const GgufLimits& limits = cursor.limits();
  if (!std::has_single_bit(alignment) || alignment < limits.alignment_min ||
      alignment > limits.alignment_max)
    metadata.fail("general.alignment",
                  fmt::format("is {}, wanted a power of two from {} to {}", alignment,
                              limits.alignment_min, limits.alignment_max));
  return alignment;
}

}  // namespace

GgufFile parse_gguf(std::span<const std::byte> file, const std::string& file_name,
                    MemoryBudget& budget, std::uint32_t shard, const GgufLimits& limits) {
  GgufCursor cursor(file, file_name, budget, limits);
  GgufFile result;
  check_magic(cursor, file);
  result.version = read_version(cursor);
  const std::uint64_t tensor_count = read_count(cursor, "n_tensors", limits.tensors);
  const std::uint64_t pair_count = read_count(cursor, "n_kv", limits.key_values);
  check_room(cursor, "n_kv", pair_count, kMinKeyValueBytes);
  check_room(cursor, "n_tensors", tensor_count, kMinTensorBytes);

  result.metadata = read_gguf_metadata(cursor, pair_count);
  cursor.begin_item("", 0);
  result.alignment = read_alignment(cursor, result.metadata);
  check_room(cursor, "n_tensors", tensor_count, kMinTensorBytes);
  result.tensors = read_gguf_tensors(cursor, tensor_count, shard);
  cursor.begin_item("", 0);
  result.data_offset = *Checked(cursor.offset()).aligned_to(result.alignment).value();
  place_gguf_tensors(cursor, result.tensors, result.data_offset, result.alignment);
  return result;
}

}  // namespace strata
