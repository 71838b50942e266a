#include "runtime/weights/gguf_writer.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/weights/metadata.h"

namespace strata {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;  // what the format assumes without general.alignment

template <class T>
void append(std::string& bytes, T value) {
  static_assert(std::is_arithmetic_v<T>);
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

void append_text(std::string& bytes, std::string_view text) {
  append(bytes, std::uint64_t{text.size()});
  bytes.append(text);
}

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void append_info(std::string& bytes, const GgufHeader::Tensor& tensor, std::uint64_t offset) {
  append_text(bytes, tensor.name);
  append(bytes, static_cast<std::uint32_t>(tensor.shape.rank));
  for (int i = tensor.shape.rank - 1; i >= 0; --i)  // GGUF counts from the innermost dimension
    append(bytes, static_cast<std::uint64_t>(tensor.shape[i]));
  append(bytes, dtype_info(tensor.dtype).gguf_id);
  append(bytes, offset);
}

}  // namespace

void GgufHeader::add_key(std::string_view key, std::uint32_t type) {
  append_text(keys_, key);
  append(keys_, type);
  ++key_count_;
}

void GgufHeader::add(std::string_view key, std::string_view text) {
  add_key(key, static_cast<std::uint32_t>(ValueType::string));
  append_text(keys_, text);
}

void GgufHeader::add(std::string_view key, std::uint32_t number) {
  add_key(key, static_cast<std::uint32_t>(ValueType::u32));
  append(keys_, number);
}

void GgufHeader::add(std::string_view key, float number) {
  add_key(key, static_cast<std::uint32_t>(ValueType::f32));
  append(keys_, number);
}

void GgufHeader::add_tensor(std::string name, DType dtype, const Shape& shape) {
  const DTypeInfo& info = dtype_info(dtype);
  if (shape.columns() % info.block_elements != 0)
    throw Error(ErrorCode::runtime, name,
                "has " + std::to_string(shape.columns()) +
                    " columns, which are no whole blocks of " + std::string(info.name));
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(shape.rows()) * row_bytes(dtype, shape.columns());
  tensors_.push_back({std::move(name), dtype, shape, 0, bytes});
}

std::string GgufHeader::finish() {
  add("general.alignment", static_cast<std::uint32_t>(kAlignment));
  std::string bytes = "GGUF";
  append(bytes, kVersion);
  append(bytes, std::uint64_t{tensors_.size()});
  append(bytes, key_count_);
  bytes += keys_;
  std::uint64_t data = 0;
  for (Tensor& tensor : tensors_) {
    append_info(bytes, tensor, data);
    tensor.offset = data;
    data += aligned(tensor.bytes);
  }
  bytes.resize(aligned(bytes.size()), '\0');
  for (Tensor& tensor : tensors_) tensor.offset += bytes.size();
  file_bytes_ = bytes.size() + data;
  return bytes;
}

}  // namespace strata
