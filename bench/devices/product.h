#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/ops/op_impl.h"

namespace strata::bench {

/// x (batch, k) times copies of a weight (n, k) on a device: as many copies as no cache holds, each
/// multiplied in turn, recorded once where the device can record.
class Product {
 public:
  /// Random weights and activations, in the layouts that the device wants. Throws
  /// Error{unsupported_op} where it has no kernel, and Error{out_of_memory}.
  Product(Device& device, DType dtype, std::int64_t batch, std::int64_t n, std::int64_t k);

  /// Seconds of one product: the best of some samples that take `seconds` together at least.
  double measure(double seconds);

  std::string kernel() const { return std::string(op_.kernel); }
  /// Of the weight and of x and out, which are read and written once.
  double bytes() const { return bytes_; }

 private:
  struct Tensor {
    Buffer buffer;
    TensorView view;
  };
  Tensor make(const TensorDesc& desc);
  Tensor upload(const TensorDesc& desc, const std::byte* bytes);
  void run(const OpDesc& desc, const std::vector<TensorView>& in, const TensorView& out);
  void make_weights(const TensorDesc& rows, const TensorDesc& wanted);
  void make_activations(const TensorDesc& floats, const TensorDesc& wanted);
  void enqueue_all();

  Device& device_;
  std::unique_ptr<Stream> stream_;
  PreparedOp op_;
  Tensor x_, out_;
  std::vector<Tensor> weights_;
  Buffer workspace_;
  std::unique_ptr<Recording> recording_;
  double bytes_ = 0;
};

}  // namespace strata::bench
