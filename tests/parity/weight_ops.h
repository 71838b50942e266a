#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ops/op_impl.h"
#include "tests/parity/devices.h"

namespace strata::test::weights {

/// Every dtype that weights come in.
std::vector<DType> weight_dtypes();

/// Numbers in [-1, 1) from a seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-23F - 1.0F; }

 private:
  std::uint64_t state_;
};

std::vector<float> random_floats(std::int64_t count, std::uint64_t seed);

/// Rows of `dtype` with every bit random but for the scales, which are of the order of 2^-6.
std::vector<std::byte> random_weights(DType dtype, std::int64_t rows, std::int64_t columns,
                                      std::uint64_t seed);

/// The same with all other bytes alike.
std::vector<std::byte> uniform_weights(DType dtype, std::int64_t rows, std::int64_t columns,
                                       int byte);

/// An aligned tensor that owns its bytes.
struct Tensor {
  std::vector<std::byte> bytes;
  TensorView view;
};
Tensor make_tensor(const TensorDesc& desc, std::byte fill = std::byte{0});
Tensor tensor_of(const TensorDesc& desc, const void* data);

/// Runs an op on these views as the executor would: prepare from their descriptions, then run.
/// Expects the device to support it. Returns what was prepared.
PreparedOp run_op(Device& device, const OpAttributes& attributes, std::vector<TensorView> in,
                  std::vector<TensorView> out);

/// Whether the device supports the op on views like these; fused ops, and activations in another
/// layout than f32 rows, are a device's own choice.
bool op_supports(Device& device, const OpAttributes& attributes, std::vector<TensorView> in,
                 const std::vector<TensorView>& out);

/// Whether its matmuls take weights of `dtype` with x in `layout`, for so many rows.
bool takes(Device& device, DType dtype, Layout layout, std::int64_t rows);

/// The layout that its matmuls want quantized weights in.
Layout packed_layout(const Device& device);

/// x (rows, k) through the op quantize.
Tensor quantized(Device& device, const Tensor& x);

/// x (rows, k) rounded to bf16 through the op quantize.
Tensor rounded(Device& device, const Tensor& x);

/// w through the op pack, in packed_layout().
Tensor packed(Device& device, const Tensor& w);

/// Every block-quantized dtype.
bool has_int8_path(DType dtype);

/// out, as rows of n floats.
std::vector<float> floats_of(const TensorView& view);

}  // namespace strata::test::weights
