#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/core/byte_reader.h"
#include "runtime/weights/gguf.h"

namespace strata {

/// Reads a GGUF header in order and turns whatever is wrong into an Error that says where: the
/// file, the key or tensor at hand, the offset. Shared by the parts of the parser; nothing else
/// uses it.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> file, const std::string& file_name, MemoryBudget& budget,
             const GgufLimits& limits);

  /// What the next reads are about: "key", "tensor" or "" for the file's own header.
  void begin_item(std::string_view kind, std::uint64_t index);
  void name_item(std::string_view name) { name_ = name; }

  template <class T>
  T read(std::string_view what) {
    const auto value = reader_.read<T>();
    if (!value) fail_short(what, sizeof(T));
    return *value;
  }
  std::span<const std::byte> read_bytes(std::string_view what, std::uint64_t count);
  /// A u64 length and that many bytes.
  std::string_view read_text(std::string_view what);
  /// A key or tensor name: 1 to `limit` bytes of UTF-8 without control characters.
  std::string_view read_name(std::string_view what, std::uint64_t limit);

  /// Throws unless `bytes` more may be allocated.
  void charge(Checked bytes, std::string_view what);
  [[noreturn]] void fail(const std::string& detail, std::string hint = {}) const;
  [[noreturn]] void fail_short(std::string_view what, std::uint64_t wanted) const;

  std::uint64_t offset() const { return reader_.offset(); }
  std::uint64_t remaining() const { return reader_.remaining(); }
  std::uint64_t file_bytes() const { return file_bytes_; }
  const GgufLimits& limits() const { return limits_; }
  const std::string& file_name() const { return file_name_; }

 private:
  std::string item_text() const;

  ByteReader reader_;  // of the file's first limits_.header_bytes
  std::uint64_t file_bytes_;
  const std::string& file_name_;
  MemoryBudget& budget_;
  const GgufLimits& limits_;
  std::string_view kind_;
  std::uint64_t index_ = 0;
  std::string_view name_;
};

/// `count` key/value pairs.
Metadata read_gguf_metadata(GgufCursor& cursor, std::uint64_t count);
/// `count` tensor infos; their offsets still count from the start of the data.
std::vector<TensorInfo> read_gguf_tensors(GgufCursor& cursor, std::uint64_t count,
                                          std::uint32_t shard);
/// Proves the order, alignment and bounds of the tensors' ranges and makes offsets absolute.
void place_gguf_tensors(GgufCursor& cursor, std::vector<TensorInfo>& tensors,
                        std::uint64_t data_offset, std::uint64_t alignment);

}  // namespace strata
