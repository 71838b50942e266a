#pragma once

#include "backends/simt/attention_split.h"

// What the op attention does for rope_attention.
namespace strata::STRATA_SIMT {

/// Whether the kernel for this op has what run_with_own_token() needs: one token, few query heads
/// for a kv head, all in one block, and keys and values of one dtype.
bool can_turn_own_token(const OpDesc& attention);

/// Runs the op, as prepared for itself, on queries that are not turned yet and a token that is not
/// in the cache yet: one launch. At most one row of q.
void run_with_own_token(Stream& stream, const PreparedOp& attention, const Operands& operands,
                        Workspace workspace, const OwnToken& own);

}  // namespace strata::STRATA_SIMT
