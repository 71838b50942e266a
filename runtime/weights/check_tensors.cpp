#include "runtime/weights/check_tensors.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>

#include "runtime/core/half.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

enum class ScaleKind : std::uint8_t { none, f32, f16, bf16, e8m0 };

/// Where a block keeps its scales. Plain types are blocks of one element, which is its own "scale".
struct ScaleLayout {
  ScaleKind kind = ScaleKind::none;
  std::array<std::size_t, 2> offsets{};  // bytes from the start of the block
  std::size_t count = 0;
};

ScaleLayout scale_layout(DType dtype) {
  using enum ScaleKind;
  switch (dtype) {
    case DType::F32:
      return {f32, {0}, 1};
    case DType::F16:
      return {f16, {0}, 1};
    case DType::BF16:
      return {bf16, {0}, 1};
    case DType::Q4_0:
    case DType::Q5_0:
    case DType::Q8_0:
    case DType::IQ4_NL:
    case DType::IQ4_XS:
      return {f16, {0}, 1};
    case DType::Q4_1:
    case DType::Q5_1:
    case DType::Q4_K:
    case DType::Q5_K:
      return {f16, {0, 2}, 2};
    case DType::Q2_K:
      return {f16, {80, 82}, 2};
    case DType::Q3_K:
      return {f16, {108}, 1};
    case DType::Q6_K:
      return {f16, {208}, 1};
    case DType::MXFP4:
      return {e8m0, {0}, 1};
    case DType::I8:
    case DType::I32:
      break;
  }
  return {};
}

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float scale_value(ScaleKind kind, const std::byte* bytes) {
  switch (kind) {
    case ScaleKind::f32:
      return load<float>(bytes);
    case ScaleKind::f16:
      return f16_to_f32(load<std::uint16_t>(bytes));
    case ScaleKind::bf16:
      return bf16_to_f32(load<std::uint16_t>(bytes));
    case ScaleKind::e8m0:
      // 2^(byte - 127); 255 is NaN (OCP Microscaling Formats 1.0, section 5.4.1).
      return load<std::uint8_t>(bytes) == 0xff ? std::nanf("") : 1.0f;
    case ScaleKind::none:
      break;
  }
  return 0;
}

/// Block count and the first bad block of a tensor's bytes.
struct Scan {
  std::uint64_t bad = 0;
  std::size_t first_block = 0;
  std::size_t first_offset = 0;  // of the bad number, from the start of the data
  float first_value = 0;
};

Scan scan_blocks(std::span<const std::byte> data, std::size_t block_bytes,
                 const ScaleLayout& layout) {
  Scan scan;
  for (std::size_t block = 0; block * block_bytes < data.size(); ++block) {
    for (std::size_t i = 0; i < layout.count; ++i) {
      const std::size_t offset = block * block_bytes + layout.offsets[i];
      const float value = scale_value(layout.kind, data.data() + offset);
      if (std::isfinite(value)) continue;
      if (scan.bad++ == 0) {
        scan.first_block = block;
        scan.first_offset = offset;
        scan.first_value = value;
      }
      break;
    }
  }
  return scan;
}

TensorDefect make_defect(const ModelFile& file, const TensorInfo& tensor, const Scan& scan) {
  const bool plain = tensor.type->block_elements == 1;
  TensorDefect defect;
  defect.tensor = file.index_of(tensor);
  defect.block = static_cast<std::int64_t>(scan.first_block);
  defect.offset = tensor.offset + scan.first_offset;
  defect.count = scan.bad;
  defect.text = fmt::format("{}: tensor \"{}\" ({}): {} {} has {} {} at offset {}; {} bad in all",
                            file.shards()[tensor.shard].path().string(), printable(tensor.name),
                            tensor.type_name(), plain ? "element" : "block", scan.first_block,
                            plain ? "value" : "scale", scan.first_value, defect.offset, scan.bad);
  return defect;
}

}  // namespace

std::vector<TensorDefect> check_tensors(const ModelFile& file, const ByteProgress& progress) {
  std::vector<TensorDefect> defects;
  std::uint64_t done = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    const ScaleLayout layout = tensor.dtype() ? scale_layout(*tensor.dtype()) : ScaleLayout{};
    if (layout.count > 0) {
      const Scan scan = scan_blocks(file.data(tensor), tensor.type->block_bytes, layout);
      if (scan.bad > 0) defects.push_back(make_defect(file, tensor, scan));
    }
    done += tensor.bytes;
    if (progress) progress(done, file.tensor_bytes());
  }
  return defects;
}

}  // namespace strata
