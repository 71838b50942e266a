#include "runtime/streaming/block_reader.h"

#include <utility>

#include "runtime/core/direct_file.h"
#include "runtime/streaming/reader_file.h"

namespace strata {

std::string_view method_name(ReadMethod method) {
  switch (method) {
    case ReadMethod::mapped:
      return "mapped";
    case ReadMethod::buffered:
      return "buffered";
    case ReadMethod::direct:
      return "direct";
  }
  return "unknown";
}

std::uint64_t BlockReader::slot_bytes(const FileRange& part) {
  constexpr std::uint64_t kStep = DirectFile::kAlignment;
  const std::uint64_t begin = part.offset / kStep * kStep;
  return (part.offset + part.bytes - begin + kStep - 1) / kStep * kStep;
}

std::uint64_t BlockReader::slot_bytes(const StreamUnit& unit) {
  std::uint64_t sum = 0;
  for (const FileRange& part : unit.parts) sum += slot_bytes(part);
  return sum;
}

std::unique_ptr<BlockReader> open_reader(std::shared_ptr<const ModelFile> file, ReadMethod method,
                                         ReaderOptions options) {
  return std::make_unique<FileReader>(std::move(file), method, options);
}

}  // namespace strata
