#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "runtime/core/device.h"
#include "runtime/ops/ops.h"

namespace strata {

/// The operands of one run. Views' outer dimension is the live number of rows, at most the
/// capacity planned for. An absent optional operand has data == nullptr.
struct Operands {
  std::span<const TensorView> in;
  std::span<const TensorView> inout;
  std::span<const TensorView> out;
};

/// Scratch memory of one run, `workspace_bytes` of the PreparedOp, 64-byte aligned.
using Workspace = std::span<std::byte>;

struct PreparedOp;
using OpRun = void (*)(Stream&, const PreparedOp&, const Operands&, Workspace);

/// An op with its kernel chosen. Made at plan time, immutable afterwards.
struct PreparedOp {
  OpDesc desc;
  OpRun run = nullptr;
  std::string_view kernel;  ///< which variant was chosen, for plans and profiles
  std::size_t workspace_bytes = 0;
  /// Wanted layout of each input. A weight is packed, an activation quantized, to match; prepare is
  /// then called again with desc.in as wanted.
  std::array<Layout, kMaxOperands> wanted{};
  std::shared_ptr<const void> state;  ///< backend's own: pipelines, tables
};

/// One backend's implementation of one op: plain functions. A kernel never allocates, never picks a
/// stream and never waits.
struct OpImpl {
  /// Attributes, dtypes, layouts and largest shapes that it can do.
  bool (*supports)(const OpDesc&, const DeviceInfo&) = nullptr;
  /// Plan time: kernel, tiles, workspace, wanted layouts. May throw.
  PreparedOp (*prepare)(Device&, const OpDesc&) = nullptr;
};

/// The visible line of a backend that lacks a fused op: its slot in the table stays empty.
#define STRATA_UNSUPPORTED(name) const OpImpl name##_impl{nullptr, nullptr};

/// One OpImpl per OpKind; `supports` null = the backend lacks the op.
struct OpTable {
  std::array<OpImpl, kOpCount> ops;
  const OpImpl& operator[](OpKind kind) const { return ops[static_cast<std::size_t>(kind)]; }
};

/// The device's implementation of `op`, prepared. Throws Error{unsupported_op}.
PreparedOp prepare_op(Device& device, const OpDesc& op);

}  // namespace strata
