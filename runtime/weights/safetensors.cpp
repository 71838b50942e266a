#include "runtime/weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/core/error.h"
#include "runtime/weights/foreign_format.h"
#include "runtime/weights/name_index.h"
#include "runtime/weights/printable.h"
#include "runtime/weights/safetensors_header.h"

namespace strata {
namespace {

constexpr const char* kAgain = "download the file again";

[[noreturn]] void fail(const std::string& file_name, const std::string& detail,
                       std::string hint = {}) {
  throw Error(ErrorCode::bad_model, file_name, detail, std::move(hint));
}

// The header's bytes, proven to lie in the file.
std::span<const std::byte> find_header(std::span<const std::byte> file,
                                       const std::string& file_name, std::uint64_t limit) {
  if (file.empty()) fail(file_name, "is empty (0 bytes)", kAgain);
  std::uint64_t length = 0;
  const bool begins = file.size() > sizeof(length) && file[sizeof(length)] == std::byte{'{'};
  if (!begins)
    if (const auto foreign = recognise_foreign_format(file))
      fail(file_name, foreign->what, foreign->hint);
  if (file.size() < sizeof(length))
    fail(file_name,
         fmt::format("the header's length needs 8 bytes, and the file has {}", file.size()),
         kAgain);
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > limit)
    fail(file_name,
         fmt::format("is no safetensors file: its header would have {} bytes, more than the limit "
                     "of {}",
                     length, limit));
  const auto rest = file.subspan(sizeof(length));
  if (length > rest.size())
    fail(file_name,
         fmt::format("the header needs {} bytes, and the file has {} after its length: {} are "
                     "missing",
                     length, rest.size(), length - rest.size()),
         kAgain);
  if (!begins) fail(file_name, "is no safetensors file: its header does not begin with \"{\"");
  return rest.first(static_cast<std::size_t>(length));
}

void check_names(std::span<const TensorInfo> tensors, const std::string& file_name) {
  NameIndex index(tensors.size());
  const auto name_of = [&](std::uint32_t i) { return tensors[i].name; };
  for (std::uint32_t i = 0; i < tensors.size(); ++i)
    if (index.insert(tensors[i].name, i, name_of))
      fail(file_name, fmt::format("tensor \"{}\" comes twice", printable(tensors[i].name)));
}

void check_room(std::span<const TensorInfo> tensors, std::uint64_t have,
                const std::string& file_name) {
  std::uint64_t need = 0;
  for (const TensorInfo& tensor : tensors)
    need = std::max(need, tensor.offset + tensor.bytes);  // as the header says it, no wrap
  if (need > have)
    fail(file_name,
         fmt::format("its tensors need {} bytes, and the file has {} after the header: {} are "
                     "missing",
                     need, have, need - have),
         kAgain);
}

// Offsets count from the start of the data until here, from that of the file from here on.
void place(std::span<TensorInfo> tensors, std::uint64_t data_offset, std::uint64_t file_bytes,
           const std::string& file_name) {
  const std::uint64_t have = file_bytes - data_offset;
  check_room(tensors, have, file_name);
  std::uint64_t expected = 0;
  const auto where = [](const TensorInfo& tensor) {
    return fmt::format("tensor \"{}\": ", printable(tensor.name));
  };
  for (TensorInfo& tensor : tensors) {
    const std::uint64_t end = tensor.offset + tensor.bytes;
    if (tensor.offset < expected)
      fail(file_name, fmt::format("{}begins at {} of the data and overlaps the tensor before, "
                                  "which ends at {}",
                                  where(tensor), tensor.offset, expected));
    if (tensor.offset > expected)
      fail(file_name, fmt::format("{}begins at {} of the data and leaves a gap after {}",
                                  where(tensor), tensor.offset, expected));
    expected = end;
    tensor.offset += data_offset;
    if (tensor.dtype() && tensor.offset % tensor.type->block_bytes != 0)
      fail(file_name,
           fmt::format("{}lies at offset {} of the file, which is no multiple of the {} bytes of "
                       "its elements",
                       where(tensor), tensor.offset, tensor.type->block_bytes),
           "save the model again with a current version of safetensors, which aligns tensors");
  }
  if (expected != have)
    fail(file_name, fmt::format("its tensors end at {} of the data, and the file has {}: {} bytes "
                                "belong to none",
                                expected, have, have - expected));
}

}  // namespace

std::vector<TensorInfo> parse_safetensors(std::span<const std::byte> file,
                                          const std::string& file_name, MemoryBudget& budget,
                                          std::deque<std::string>& names, std::uint32_t shard,
                                          const SafetensorsLimits& limits) {
  const std::span<const std::byte> text = find_header(file, file_name, limits.header_bytes);
  SafetensorsHeader header(file_name, budget, names, shard, limits);
  const auto* begin = reinterpret_cast<const char*>(text.data());
  nlohmann::json::sax_parse(begin, begin + text.size(), &header);
  std::vector<TensorInfo> tensors = header.take();
  if (!budget.charge(Checked(NameIndex::bytes_for(tensors.size()))))
    fail(file_name, fmt::format("listing its {} tensors would take more than {} bytes of memory",
                                tensors.size(), budget.limit()));
  check_names(tensors, file_name);
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
  place(tensors, sizeof(std::uint64_t) + text.size(), file.size(), file_name);
  return tensors;
}

}  // namespace strata
