// The ops of the device inside, run when the stream comes to them.
#include "backends/sim/op_table.h"

#include <memory>
#include <utility>

#include "backends/sim/sim_stream.h"

namespace strata::sim {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  static_cast<SimStream&>(stream).run(std::static_pointer_cast<const PreparedOp>(op.state),
                                      operands, workspace);
}

// The kind is known to the compiler: an OpImpl is plain functions.
template <OpKind kind>
PreparedOp prepare(Device& device, const OpDesc& op) {
  Device& inside = static_cast<SimDevice&>(device).inside();
  PreparedOp prepared = inside.ops()[kind].prepare(inside, op);
  prepared.state = std::make_shared<const PreparedOp>(prepared);
  prepared.run = run;
  return prepared;
}

}  // namespace

OpTable wrapped_ops(const OpTable& inside) {
  OpTable table{};
  std::size_t at = 0;
#define STRATA_OP(Type, name, inputs, inouts, outputs)                 \
  if (inside.ops[at].supports != nullptr)                              \
    table.ops[at] = {inside.ops[at].supports, &prepare<OpKind::Type>}; \
  ++at;
#include "runtime/ops/ops.def"
#undef STRATA_OP
  return table;
}

}  // namespace strata::sim
