#include <fmt/format.h>

#include <limits>

#include "runtime/weights/gguf_cursor.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr std::uint64_t kMaxElements = std::numeric_limits<std::int64_t>::max();

void read_dimensions(GgufCursor& cursor, TensorInfo& tensor) {
  tensor.n_dims = cursor.read<std::uint32_t>("n_dims");
  if (tensor.n_dims < 1 || tensor.n_dims > kMaxDims)
    cursor.fail(fmt::format("n_dims is {} at offset {}, wanted 1 to {}", tensor.n_dims,
                            cursor.offset() - 4, kMaxDims));
  Checked elements(1);
  for (std::uint32_t i = 0; i < tensor.n_dims; ++i) {
    const auto size = cursor.read<std::uint64_t>("dimension");
    if (size == 0 || size > kMaxElements)
      cursor.fail(fmt::format("dimension {} is {} at offset {}, wanted 1 to {}", i,
                              static_cast<std::int64_t>(size), cursor.offset() - 8, kMaxElements));
    tensor.ne[i] = static_cast<std::int64_t>(size);
    elements = elements * size;
  }
  if (!elements.at_most(kMaxElements))
    cursor.fail(fmt::format("dimensions {} x {} x {} x {} have more than {} elements", tensor.ne[0],
                            tensor.ne[1], tensor.ne[2], tensor.ne[3], kMaxElements));
}

void read_type(GgufCursor& cursor, TensorInfo& tensor) {
  const auto id = cursor.read<std::uint32_t>("type");
  tensor.type = find_stored_type(id);
  if (!tensor.type) {
    const ForeignType foreign = describe_foreign_type(id);
    cursor.fail(fmt::format("type is {}", foreign.description), foreign.hint);
  }
  const StoredType& type = *tensor.type;
  if (tensor.columns() % type.block_elements != 0)
    cursor.fail(fmt::format("dimension 0 is {}, not a multiple of the {} elements of a {} block",
                            tensor.columns(), type.block_elements, type.name));
  const auto bytes = (Checked(static_cast<std::uint64_t>(tensor.elements() / type.block_elements)) *
                      type.block_bytes)
                         .value();
  if (!bytes || *bytes > cursor.file_bytes())
    cursor.fail(fmt::format("{} elements of type {} need {} bytes, and the whole file has {}",
                            tensor.elements(), type.name,
                            bytes ? fmt::format("{}", *bytes) : "over 2^64", cursor.file_bytes()));
  tensor.bytes = *bytes;
}

}  // namespace

std::vector<TensorInfo> read_gguf_tensors(GgufCursor& cursor, std::uint64_t count,
                                          std::uint32_t shard) {
  const auto size = static_cast<std::size_t>(count);
  cursor.charge(Checked(size) * sizeof(TensorInfo) + NameIndex::bytes_for(size),
                fmt::format("{} tensor infos", count));
  std::vector<TensorInfo> tensors(size);
  NameIndex index(size);
  auto name_of = [&](std::uint32_t i) { return tensors[i].name; };
  for (std::uint32_t i = 0; i < size; ++i) {
    TensorInfo& tensor = tensors[i];
    cursor.begin_item("tensor", i);
    tensor.name = cursor.read_name("name", cursor.limits().tensor_name_bytes);
    cursor.name_item(tensor.name);
    if (const auto earlier = index.insert(tensor.name, i, name_of))
      cursor.fail(fmt::format("the name appears twice: tensors {} and {}", *earlier, i));
    read_dimensions(cursor, tensor);
    read_type(cursor, tensor);
    tensor.offset = cursor.read<std::uint64_t>("offset");
    tensor.shard = shard;
  }
  return tensors;
}

void place_gguf_tensors(GgufCursor& cursor, std::vector<TensorInfo>& tensors,
                        std::uint64_t data_offset, std::uint64_t alignment) {
  std::uint64_t expected = 0;  // stays below file_bytes + alignment: every step is proven below
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    TensorInfo& tensor = tensors[i];
    cursor.begin_item("tensor", i);
    cursor.name_item(tensor.name);
    if (tensor.offset % alignment != 0)
      cursor.fail(
          fmt::format("offset {} is not a multiple of the alignment {}", tensor.offset, alignment));
    if (tensor.offset < expected)
      cursor.fail(fmt::format("offset {} overlaps tensor \"{}\", expected {}", tensor.offset,
                              i == 0 ? std::string() : printable(tensors[i - 1].name), expected));
    if (tensor.offset > expected)
      cursor.fail(fmt::format("offset {} leaves a gap or is out of order, expected {}",
                              tensor.offset, expected));
    const Checked begin = Checked(data_offset) + tensor.offset;
    const Checked end = begin + tensor.bytes;
    if (!end.at_most(cursor.file_bytes()))
      cursor.fail(
          fmt::format("{} bytes at offset {} end at {}, and the file has {} bytes: {} are "
                      "missing",
                      tensor.bytes, begin.value().value_or(0), end.value().value_or(0),
                      cursor.file_bytes(), end.value().value_or(0) - cursor.file_bytes()));
    expected = *(Checked(tensor.offset) + tensor.bytes).aligned_to(alignment).value();
    tensor.offset = *begin.value();
  }
}

}  // namespace strata
