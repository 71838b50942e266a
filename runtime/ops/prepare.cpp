#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/ops/op_impl.h"

namespace strata {
namespace {

std::string operand_text(const OpDesc& op) {
  std::string text;
  for (const TensorDesc& desc : op.in) {
    if (desc.shape.rank == 0) continue;
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", dtype_info(desc.dtype).name,
                        layout_name(desc.layout), to_string(desc.shape));
  }
  return text;
}

}  // namespace

PreparedOp prepare_op(Device& device, const OpDesc& op) {
  const OpImpl& impl = device.ops()[op.kind()];
  if (impl.supports == nullptr || !impl.supports(op, device.info()))
    throw Error(ErrorCode::unsupported_op, to_string(device.info().id),
                fmt::format("op {} does not support ({})", op.info().name, operand_text(op)),
                "see docs/backends.md for what each backend computes");
  return impl.prepare(device, op);
}

}  // namespace strata
