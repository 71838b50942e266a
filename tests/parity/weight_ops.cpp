#include "tests/parity/weight_ops.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "runtime/core/half.h"
#include "tests/parity/device_run.h"

namespace strata::test::weights {
namespace {

constexpr std::size_t kAlign = 64;

TensorDesc desc_of(const TensorView& view) {
  if (view.data == nullptr) return {};
  return {view.dtype, view.layout, view.shape};
}

std::byte* align(std::byte* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return data + ((kAlign - address % kAlign) % kAlign);
}

// Byte offsets of the f16 fields of a block.
std::vector<std::size_t> half_fields(DType dtype) {
  switch (dtype) {
    case DType::Q4_0:
    case DType::Q5_0:
    case DType::Q8_0:
    case DType::IQ4_NL:
    case DType::IQ4_XS:
      return {0};
    case DType::Q4_1:
    case DType::Q5_1:
    case DType::Q4_K:
    case DType::Q5_K:
      return {0, 2};
    case DType::Q2_K:
      return {80, 82};
    case DType::Q3_K:
      return {108};
    case DType::Q6_K:
      return {208};
    default:
      return {};
  }
}

void sane_scales(DType dtype, std::byte* block, Random& random) {
  for (std::size_t at : half_fields(dtype)) {
    const std::uint16_t half = f32_to_f16(random.uniform() * 0x1p-6F);
    std::memcpy(block + at, &half, sizeof(half));
  }
  if (dtype == DType::MXFP4) block[0] = static_cast<std::byte>(118 + random.next() % 6);
}

}  // namespace

std::vector<DType> weight_dtypes() {
  std::vector<DType> dtypes;
  for (const DTypeInfo& info : kDTypes)
    if (info.dtype != DType::I8 && info.dtype != DType::I32) dtypes.push_back(info.dtype);
  return dtypes;
}

bool has_int8_path(DType dtype) { return is_quantized(dtype); }

std::uint64_t Random::next() {  // splitmix64
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<float> random_floats(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(random.uniform());
  return values;
}

std::vector<std::byte> random_weights(DType dtype, std::int64_t rows, std::int64_t columns,
                                      std::uint64_t seed) {
  Random random(seed);
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows) * row_bytes(dtype, columns));
  const std::size_t block = dtype_info(dtype).block_bytes;
  for (std::size_t at = 0; at < bytes.size(); at += block) {
    if (is_quantized(dtype)) {
      for (std::size_t i = 0; i < block; ++i) bytes[at + i] = static_cast<std::byte>(random.next());
      sane_scales(dtype, &bytes[at], random);
      continue;
    }
    const float value = random.uniform();
    const std::uint16_t half = dtype == DType::F16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::F32)
      std::memcpy(&bytes[at], &value, sizeof(value));
    else
      std::memcpy(&bytes[at], &half, sizeof(half));
  }
  return bytes;
}

std::vector<std::byte> uniform_weights(DType dtype, std::int64_t rows, std::int64_t columns,
                                       int byte) {
  Random random(1);
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows) * row_bytes(dtype, columns),
                               static_cast<std::byte>(byte));
  for (std::size_t at = 0; at < bytes.size(); at += dtype_info(dtype).block_bytes)
    sane_scales(dtype, &bytes[at], random);
  return bytes;
}

Tensor make_tensor(const TensorDesc& desc, std::byte fill) {
  Tensor tensor;
  tensor.bytes.assign(byte_size(desc) + kAlign, fill);
  tensor.view = dense_view(align(tensor.bytes.data()), desc);
  return tensor;
}

Tensor tensor_of(const TensorDesc& desc, const void* data) {
  Tensor tensor = make_tensor(desc);
  std::memcpy(tensor.view.data, data, byte_size(desc));
  return tensor;
}

OpDesc describe(const OpAttributes& attributes, std::vector<TensorView>& in,
                const std::vector<TensorView>& out) {
  OpDesc desc;
  desc.attributes = attributes;
  in.resize(static_cast<std::size_t>(desc.info().inputs));  // optional operands at the end
  for (const TensorView& view : in) desc.in.push_back(desc_of(view));
  for (const TensorView& view : out) desc.out.push_back(desc_of(view));
  return desc;
}

PreparedOp run_op(Device& device, const OpAttributes& attributes, std::vector<TensorView> in,
                  std::vector<TensorView> out) {
  const OpDesc desc = describe(attributes, in, out);
  const OpImpl& impl = device.ops()[desc.kind()];
  if (impl.supports == nullptr || !impl.supports(desc, device.info())) {
    ADD_FAILURE() << desc.info().name << " is not supported";
    return {};
  }
  PreparedOp prepared = impl.prepare(device, desc);
  run_prepared(device, prepared, in, {}, out);
  return prepared;
}

bool op_supports(Device& device, const OpAttributes& attributes, std::vector<TensorView> in,
                 const std::vector<TensorView>& out) {
  const OpDesc desc = describe(attributes, in, out);
  const OpImpl& impl = device.ops()[desc.kind()];
  return impl.supports != nullptr && impl.supports(desc, device.info());
}

bool takes(Device& device, DType dtype, Layout layout, std::int64_t rows) {
  const OpDesc desc{Linear{},
                    {{activation_dtype(layout), layout, {rows, 256}},
                     {dtype, is_quantized(dtype) ? packed_layout(device) : Layout::rows, {32, 256}},
                     {},
                     {}},
                    {},
                    {{DType::F32, Layout::rows, {rows, 32}}}};
  const OpImpl& impl = device.ops()[OpKind::Linear];
  return impl.supports != nullptr && impl.supports(desc, device.info());
}

Layout packed_layout(const Device& device) {
  return device.info().id.backend == BackendKind::cpu ? Layout::panels16 : Layout::planes16;
}

Tensor quantized(Device& device, const Tensor& x) {
  Tensor out = make_tensor({DType::I8, Layout::quantized, x.view.shape}, std::byte{0xa5});
  run_op(device, Quantize{}, {x.view}, {out.view});
  return out;
}

Tensor rounded(Device& device, const Tensor& x) {
  Tensor out = make_tensor({DType::BF16, Layout::rounded, x.view.shape}, std::byte{0xa5});
  run_op(device, Quantize{}, {x.view}, {out.view});
  return out;
}

Tensor packed(Device& device, const Tensor& w) {
  Tensor out = make_tensor({w.view.dtype, packed_layout(device), w.view.shape}, std::byte{0xa5});
  run_op(device, Pack{}, {w.view}, {out.view});
  return out;
}

std::vector<float> floats_of(const TensorView& view) {
  std::vector<float> values(static_cast<std::size_t>(view.shape.elements()));
  const auto columns = static_cast<std::size_t>(view.columns());
  for (std::int64_t r = 0; r < view.rows(); ++r)
    std::memcpy(&values[static_cast<std::size_t>(r) * columns], view.row(r),
                columns * sizeof(float));
  return values;
}

}  // namespace strata::test::weights
