#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/weights/metadata.h"

namespace strata::test {

/// Little-endian bytes, appended to.
class Bytes {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  Bytes& number(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    text_.append(raw, sizeof(T));
    return *this;
  }
  Bytes& u32(std::uint32_t value) { return number(value); }
  Bytes& u64(std::uint64_t value) { return number(value); }
  Bytes& raw(std::string_view bytes) {
    text_.append(bytes);
    return *this;
  }
  /// A GGUF string: u64 length, bytes. `length` may lie.
  Bytes& text(std::string_view bytes, std::optional<std::uint64_t> length = {}) {
    return u64(length.value_or(bytes.size())).raw(bytes);
  }
  Bytes& zeros(std::size_t count) {
    text_.append(count, '\0');
    return *this;
  }
  Bytes& pad_to(std::size_t alignment) {
    return zeros((alignment - text_.size() % alignment) % alignment);
  }
  std::size_t size() const { return text_.size(); }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

/// A tensor to write. Every field of the file can be made to lie.
struct TensorSpec {
  std::string name = "t";
  std::vector<std::uint64_t> dims = {32, 4};
  std::uint32_t type = 0;                    ///< ggml_type
  std::string data = {};                     ///< bytes in the data part, before padding
  std::optional<std::uint64_t> offset = {};  ///< instead of the right one
  std::optional<std::uint32_t> n_dims = {};  ///< instead of dims.size()
  std::optional<std::uint64_t> name_length = {};
};

/// Writes GGUF files, right ones by default, and wrong in exactly the fields that a test overrides.
class GgufBuilder {
 public:
  GgufBuilder& magic(std::string_view value) { return magic_ = value, *this; }
  GgufBuilder& version(std::uint32_t value) { return version_ = value, *this; }
  GgufBuilder& tensor_count(std::uint64_t value) { return tensor_count_ = value, *this; }
  GgufBuilder& kv_count(std::uint64_t value) { return kv_count_ = value, *this; }
  /// What the data part is padded to; add the key general.alignment yourself.
  GgufBuilder& alignment(std::size_t value) { return alignment_ = value, *this; }

  /// Any key/value pair: type number and the payload's bytes.
  GgufBuilder& kv(std::string_view key, std::uint32_t type, std::string_view payload,
                  std::optional<std::uint64_t> key_length = {});
  template <class T>
  GgufBuilder& kv_number(std::string_view key, ValueType type, T value) {
    return kv(key, static_cast<std::uint32_t>(type), Bytes().number(value).str());
  }
  GgufBuilder& kv_u32(std::string_view key, std::uint32_t value) {
    return kv_number(key, ValueType::u32, value);
  }
  GgufBuilder& kv_string(std::string_view key, std::string_view value);
  GgufBuilder& kv_strings(std::string_view key, const std::vector<std::string>& values);
  template <class T>
  GgufBuilder& kv_array(std::string_view key, ValueType element, const std::vector<T>& values) {
    Bytes payload;
    payload.u32(static_cast<std::uint32_t>(element)).u64(values.size());
    for (T value : values) payload.number(value);
    return kv(key, static_cast<std::uint32_t>(ValueType::array), payload.str());
  }
  /// Bytes among the key/value pairs, counted as one pair.
  GgufBuilder& raw_kv(std::string_view bytes);

  GgufBuilder& tensor(TensorSpec spec);
  /// A tensor of zeros of the right size.
  GgufBuilder& tensor(std::string_view name, std::vector<std::uint64_t> dims,
                      std::uint32_t type = 0);
  /// Bytes cut off the end of the file.
  GgufBuilder& cut(std::size_t bytes) { return cut_ = bytes, *this; }
  /// The last tensor's padding is left out.
  GgufBuilder& no_final_padding() { return final_padding_ = false, *this; }

  std::string build() const;

 private:
  std::string magic_ = "GGUF";
  std::uint32_t version_ = 3;
  std::optional<std::uint64_t> tensor_count_;
  std::optional<std::uint64_t> kv_count_;
  std::size_t alignment_ = 32;
  std::vector<std::string> pairs_;
  std::vector<TensorSpec> tensors_;
  std::size_t cut_ = 0;
  bool final_padding_ = true;
};

/// A small valid model: an architecture, a vocabulary, tensors of a few types.
GgufBuilder small_model();

}  // namespace strata::test
