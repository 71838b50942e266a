#include "runtime/ops/ops.h"

namespace strata {

std::span<const MatmulWeight> matmul_weights(OpKind kind) {
  static constexpr MatmulWeight kLinear[] = {{1, 0, 2, 3}};
  static constexpr MatmulWeight kGroup[] = {{1, 0, 4, -1}, {2, 1, 5, -1}, {3, 2, 6, -1}};
  static constexpr MatmulWeight kGated[] = {{1, 0, -1, -1}, {2, 0, -1, -1}};
  static constexpr MatmulWeight kExperts[] = {{1, 0, -1, -1}};
  switch (kind) {
    case OpKind::Linear:
    case OpKind::LinearNorm:
      return kLinear;
    case OpKind::LinearGroup:
      return kGroup;
    case OpKind::LinearGated:
    case OpKind::LinearExpertsGated:
      return kGated;
    case OpKind::LinearExperts:
      return kExperts;
    default:
      return {};
  }
}

bool is_matmul_weight(OpKind kind, std::size_t operand) {
  for (const MatmulWeight& matrix : matmul_weights(kind))
    if (matrix.weight == static_cast<int>(operand)) return true;
  return false;
}

}  // namespace strata
