#include "tests/parity/op_run.h"

#include <cstring>
#include <stdexcept>

#include "tests/parity/device_run.h"

namespace strata::test {
namespace {

constexpr std::size_t kGuard = 64;
constexpr std::byte kPattern{0xA5};  // four of them: -2.87e-16 as f32

std::byte* aligned(std::vector<std::byte>& memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  return memory.data() + (64 - address % 64) % 64;
}

OpDesc describe(const OpAttributes& attributes, const std::vector<TensorView>& in,
                const std::vector<TensorView>& inout, const std::vector<TensorView>& out) {
  OpDesc desc{attributes, {}, {}, {}};
  for (const TensorView& v : in) desc.in.push_back({v.dtype, v.layout, v.shape});
  for (const TensorView& v : inout) desc.inout.push_back({v.dtype, v.layout, v.shape});
  for (const TensorView& v : out) desc.out.push_back({v.dtype, v.layout, v.shape});
  return desc;
}

}  // namespace

HostTensor::HostTensor(const TensorDesc& desc, std::int64_t gap_bytes) {
  row_bytes_ = layout_row_bytes(desc.dtype, desc.layout, desc.shape.columns());
  view_ = dense_view(nullptr, desc);
  view_.row_stride += gap_bytes;
  const auto span = static_cast<std::size_t>(view_.rows() * view_.row_stride);
  memory_.assign(span + 3 * kGuard, kPattern);
  view_.data = aligned(memory_) + kGuard;
  offset_ = static_cast<std::size_t>(view_.data - memory_.data());
}

HostTensor HostTensor::f32(std::int64_t rows, std::int64_t columns, std::int64_t gap_bytes) {
  return HostTensor({DType::F32, Layout::rows, {rows, columns}}, gap_bytes);
}

HostTensor HostTensor::i32(std::int64_t rows, std::int64_t columns) {
  return HostTensor({DType::I32, Layout::rows, {rows, columns}});
}

TensorView HostTensor::rows(std::int64_t first, std::int64_t count) const {
  TensorView part = view_;
  part.data = view_.row(first);
  part.shape[0] = count;
  return part;
}

void HostTensor::randomize(std::mt19937& random, float largest) const {
  std::uniform_real_distribution<float> values(-largest, largest);
  for (std::int64_t r = 0; r < view_.rows(); ++r)
    for (std::int64_t c = 0; c < view_.columns(); ++c) row(r)[c] = values(random);
}

bool HostTensor::guards_intact() const {
  const auto stride = static_cast<std::size_t>(view_.row_stride);
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    const std::size_t at = i - offset_;  // wraps before the first row: never inside a row
    const bool inside = i >= offset_ && at < stride * static_cast<std::size_t>(view_.rows()) &&
                        at % stride < row_bytes_;
    if (!inside && memory_[i] != kPattern) return false;
  }
  return true;
}

std::vector<std::byte> HostTensor::bytes() const {
  std::vector<std::byte> all;
  for (std::int64_t r = 0; r < view_.rows(); ++r)
    all.insert(all.end(), view_.row(r), view_.row(r) + row_bytes_);
  return all;
}

StepBlock::StepBlock(const StepCapacity& capacity)
    : memory_(step_state_bytes(capacity) + 64), bytes_(step_state_bytes(capacity)) {
  state_ = &format_step_state(aligned(memory_), capacity);
}

void StepBlock::add_token(std::int32_t sequence, std::int32_t position, std::int32_t token) {
  const std::int32_t t = state_->token_count++;
  state_->tokens()[t] = token;
  state_->positions()[t] = position;
  state_->sequences()[t] = sequence;
}

void StepBlock::want_row(std::int32_t token_index) {
  state_->rows()[state_->row_count++] = token_index;
}

void StepBlock::clear_tokens() {
  state_->token_count = 0;
  state_->row_count = 0;
}

TensorView StepBlock::view() const {
  return dense_view(reinterpret_cast<std::byte*>(state_),
                    {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(bytes_)}});
}

void run_op(Device& device, const OpAttributes& attributes, const std::vector<TensorView>& in,
            const std::vector<TensorView>& inout, const std::vector<TensorView>& out) {
  const OpDesc desc = describe(attributes, in, inout, out);
  const OpImpl& impl = device.ops()[desc.kind()];
  if (impl.supports == nullptr || !impl.supports(desc, device.info()))
    throw std::runtime_error(std::string(desc.info().name) + " says that it does not support this");
  run_prepared(device, impl.prepare(device, desc), in, inout, out);
}

bool op_supports(Device& device, const OpAttributes& attributes, const std::vector<TensorView>& in,
                 const std::vector<TensorView>& inout, const std::vector<TensorView>& out) {
  const OpDesc desc = describe(attributes, in, inout, out);
  const OpImpl& impl = device.ops()[desc.kind()];
  return impl.supports != nullptr && impl.supports(desc, device.info());
}

}  // namespace strata::test
