#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <span>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/weights/gguf.h"

namespace strata::test {

/// Ends the program where an oracle finds the code under test wrong: libFuzzer and the replay keep
/// the input.
inline void require(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "oracle: %s\n", what);
  std::abort();
}

using Wide = unsigned __int128;

/// Elements and bytes of a block by GGUF type id, kept apart from the
/// parser's table.
struct OracleType {
  std::uint32_t id;
  unsigned elements;
  unsigned bytes;
};
inline constexpr OracleType kOracleTypes[] = {
    {0, 1, 4},      {1, 1, 2},      {2, 32, 18},   {3, 32, 20},    {6, 32, 22},    {7, 32, 24},
    {8, 32, 34},    {9, 32, 36},    {10, 256, 84}, {11, 256, 110}, {12, 256, 144}, {13, 256, 176},
    {14, 256, 210}, {15, 256, 292}, {16, 256, 66}, {17, 256, 74},  {18, 256, 98},  {19, 256, 50},
    {20, 32, 18},   {21, 256, 110}, {22, 256, 82}, {23, 256, 136}, {24, 1, 1},     {25, 1, 2},
    {26, 1, 4},     {27, 1, 8},     {28, 1, 8},    {29, 256, 56},  {30, 1, 2},     {34, 256, 54},
    {35, 256, 66},  {39, 32, 17},   {40, 64, 36},  {41, 128, 18},  {42, 64, 18}};

/// The bytes of a tensor, from its dimensions alone.
inline Wide oracle_bytes(const TensorInfo& tensor) {
  for (const OracleType& type : kOracleTypes) {
    if (type.id != tensor.type->gguf_id) continue;
    Wide bytes = static_cast<Wide>(static_cast<std::uint64_t>(tensor.ne[0]));
    require(bytes % type.elements == 0, "columns are no multiple of the block");
    bytes = bytes / type.elements * type.bytes;
    // Each factor is below 2^63 and a larger product than the file is refused at once.
    for (std::size_t i = 1; i < tensor.ne.size(); ++i) {
      require(tensor.ne[i] > 0, "dimension not positive");
      bytes *= static_cast<std::uint64_t>(tensor.ne[i]);
      require(bytes < (Wide{1} << 63), "more bytes than any file");
    }
    return bytes;
  }
  require(false, "type that GGUF does not define");
  return 0;
}

inline void check_tensors_inside(const GgufFile& file, std::size_t file_bytes) {
  Wide end_of_previous = file.data_offset;
  std::set<std::string_view> names;
  for (const TensorInfo& tensor : file.tensors) {
    require(tensor.ne[0] > 0 && tensor.n_dims >= 1 && tensor.n_dims <= 4, "dimensions");
    require(names.insert(tensor.name).second, "tensor name twice");
    require(!tensor.name.empty() && tensor.name.size() < 64, "tensor name length");
    const Wide bytes = oracle_bytes(tensor);
    require(bytes == tensor.bytes, "size of a tensor");
    require(tensor.offset % file.alignment == 0, "alignment of a tensor");
    require(tensor.offset >= end_of_previous, "tensors overlap");
    end_of_previous = static_cast<Wide>(tensor.offset) + bytes;
    require(end_of_previous <= file_bytes, "tensor passes the end of the file");
    require(
        bytes == static_cast<Wide>(tensor.row_bytes()) * static_cast<std::uint64_t>(tensor.rows()),
        "row size");
  }
}

/// Every view into the file must lie in it, and every getter must answer or throw an Error.
inline void check_values_inside(const GgufFile& file, std::span<const std::byte> bytes) {
  auto inside = [&](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    return size == 0 || (begin >= bytes.data() && begin + size <= bytes.data() + bytes.size());
  };
  std::set<std::string_view> keys;
  for (const MetadataEntry& entry : file.metadata.entries()) {
    require(keys.insert(entry.key).second, "key twice");
    require(inside(entry.key.data(), entry.key.size()), "key outside the file");
    require(inside(entry.value.raw.data(), entry.value.raw.size()), "value outside the file");
    for (std::string_view text : entry.value.strings)
      require(inside(text.data(), text.size()), "string outside the file");
    require(file.metadata.find(entry.key) == &entry.value, "key not found again");
    require(!entry.value.to_text().empty(), "value without text");
    try {
      static_cast<void>(file.metadata.find_u32(entry.key, 1, 1000));
      static_cast<void>(file.metadata.find_f32(entry.key));
      static_cast<void>(file.metadata.find_i32_array(entry.key));
    } catch (const Error&) {
      continue;
    }
  }
}

/// Parses any bytes as a GGUF file. Returns whether they were accepted; a typed Error is the only
/// other way out. What was accepted is proven again, with 128-bit arithmetic: every tensor's size,
/// its place inside the file, no overlap, names and keys unique, memory within the budget.
inline bool fuzz_gguf(std::span<const std::byte> bytes) {
  MemoryBudget budget;
  try {
    const GgufFile file = parse_gguf(bytes, "fuzz.gguf", budget);
    require(file.version == 2 || file.version == 3, "version");
    require(file.alignment >= 8 && (file.alignment & (file.alignment - 1)) == 0, "alignment");
    check_tensors_inside(file, bytes.size());
    check_values_inside(file, bytes);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_model, "error class");
    require(error.subject() == "fuzz.gguf" && !error.detail().empty(), "error without a subject");
    return false;
  }
  require(budget.used() <= kParserBudgetBytes, "memory budget");
  return true;
}

}  // namespace strata::test
