#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/ops/op_impl.h"
#include "runtime/ops/step_state.h"
#include "tests/parity/devices.h"

namespace strata::test {

/// A tensor in host memory, 64-byte aligned, with guard bytes before, behind and (with `gap_bytes`)
/// between its rows. Filled with a pattern that reads as an odd number, so that what an op forgot
/// to write is seen.
class HostTensor {
 public:
  explicit HostTensor(const TensorDesc& desc, std::int64_t gap_bytes = 0);
  static HostTensor f32(std::int64_t rows, std::int64_t columns, std::int64_t gap_bytes = 0);
  static HostTensor i32(std::int64_t rows, std::int64_t columns);

  TensorView view() const { return view_; }
  /// Rows [first, first + count).
  TensorView rows(std::int64_t first, std::int64_t count) const;
  float* row(std::int64_t r) const { return reinterpret_cast<float*>(view_.row(r)); }
  std::int32_t* ints(std::int64_t r) const { return reinterpret_cast<std::int32_t*>(view_.row(r)); }
  /// Uniform numbers in [-largest, largest] in every row.
  void randomize(std::mt19937& random, float largest = 1.0F) const;
  /// False when a byte outside of the rows has changed.
  bool guards_intact() const;
  /// The rows' bytes, without gaps: for comparing bits.
  std::vector<std::byte> bytes() const;

 private:
  std::vector<std::byte> memory_;
  std::size_t offset_ = 0;
  std::size_t row_bytes_ = 0;
  TensorView view_;
};

/// A step block under construction: tokens, positions, sequences and a page table.
class StepBlock {
 public:
  explicit StepBlock(const StepCapacity& capacity);
  void add_token(std::int32_t sequence, std::int32_t position, std::int32_t token = 0);
  void want_row(std::int32_t token_index);
  void clear_tokens();
  StepState& state() { return *state_; }
  const StepState& state() const { return *state_; }
  /// The block as ops take it.
  TensorView view() const;

 private:
  std::vector<std::byte> memory_;
  std::size_t bytes_;
  StepState* state_;
};

/// Prepares the op for operands of just these shapes and runs it once, with a guarded workspace of
/// the size that prepare asked for. Throws std::runtime_error when the op says that it does not
/// support them or writes beyond its workspace.
void run_op(Device& device, const OpAttributes& attributes, const std::vector<TensorView>& in,
            const std::vector<TensorView>& inout, const std::vector<TensorView>& out);

/// Whether the op supports operands like these.
bool op_supports(Device& device, const OpAttributes& attributes, const std::vector<TensorView>& in,
                 const std::vector<TensorView>& inout, const std::vector<TensorView>& out);

}  // namespace strata::test
