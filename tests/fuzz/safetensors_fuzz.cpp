// Hostile safetensors files: whatever parse_safetensors accepts is proven again with 128-bit
// arithmetic; a typed Error is the only other way out.
#include <cstdint>
#include <cstring>
#include <set>
#include <span>

#include "runtime/core/error.h"
#include "runtime/weights/safetensors.h"
#include "tests/fuzz/gguf_fuzz.h"

namespace strata::test {
namespace {

// Bits of an element by dtype, kept apart from the parser's table.
unsigned bits_of(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64" || dtype == "C64") return 64;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 32;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 16;
  if (dtype == "F6_E2M3" || dtype == "F6_E3M2") return 6;
  if (dtype == "F4") return 4;
  return 8;
}

void check(std::span<const TensorInfo> tensors, std::span<const std::byte> file) {
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  Wide end = sizeof(header) + header;
  std::set<std::string_view> names;
  for (const TensorInfo& tensor : tensors) {
    require(names.insert(tensor.name).second, "tensor name twice");
    require(tensor.n_dims >= 1 && tensor.n_dims <= 4, "dimensions");
    require(tensor.offset == end, "gap or overlap");
    Wide bits = bits_of(tensor.type_name());
    for (const std::int64_t size : tensor.ne) {
      require(size > 0, "dimension not positive");
      bits *= static_cast<std::uint64_t>(size);
      require(bits < (Wide{1} << 70), "more bits than any file");
    }
    require(bits == Wide{tensor.bytes} * 8, "size of a tensor");
    if (tensor.dtype()) require(tensor.offset % (bits_of(tensor.type_name()) / 8) == 0, "askew");
    end += tensor.bytes;
    require(end <= file.size(), "tensor passes the end of the file");
  }
  require(end == file.size(), "bytes that belong to no tensor");
}

void run(std::span<const std::byte> file) {
  MemoryBudget budget;
  std::deque<std::string> names;
  try {
    check(parse_safetensors(file, "fuzz.safetensors", budget, names), file);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_model || error.code() == ErrorCode::unsupported_model,
            "error class");
    require(error.subject() == "fuzz.safetensors" && !error.detail().empty(),
            "error without a subject");
  }
  require(budget.used() <= kParserBudgetBytes, "memory budget");
}

}  // namespace
}  // namespace strata::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strata::test::run(std::as_bytes(std::span(data, size)));
  return 0;
}
