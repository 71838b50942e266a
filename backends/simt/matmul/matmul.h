#pragma once

#include "backends/simt/common.h"
#include "backends/simt/matmul/job.h"

// What the ops that multiply share on the host: which kernels they take, and how a run's operands
// become a job for them.
namespace strata::STRATA_SIMT {

/// Whether in[0] times a weight of this description can be done, and written to `out`.
bool matmul_supports(const OpDesc& op, const TensorDesc& w, const TensorDesc& out);

/// The same of a linear: in[1] times in[0], with in[2] and in[3] added, to out[0].
bool linear_supports(const OpDesc& op);

/// The same of a gated pair in in[1] and in[2]; few rows of int8 products may be written quantized
/// for the next matmul.
bool gated_supports(const OpDesc& op);

/// The layout of x that weights of a dtype want in a step of at most so many tokens: int8 for the
/// few of decode, bf16 for prompts, f32 where neither would do.
Layout wanted_activation(DType weight, std::int64_t tokens);

/// Tokens of the step at capacity.
std::int64_t matmul_tokens(const OpDesc& op);

/// Kernel's name and wishes for every weight, for `run` as the op's run function.
PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run);

/// A job without matrices for a run of a prepared op: x, and its rows.
MatmulJob matmul_job(const PreparedOp& op, const TensorView& x);

/// Adds a matrix; w may be the matrices of experts. All that are added have one dtype and layout.
void add_matrix(MatmulJob& job, const TensorView& w, const TensorView& out,
                const TensorView& bias = {}, const TensorView& residual = {});
/// The same for a gated pair; `out` may be quantized, and whole then.
void add_gated(Stream& stream, MatmulJob& job, const TensorView& gate, const TensorView& up,
               const TensorView& out, Workspace workspace);

/// Rows of x by expert; `used` routes per token, and x has one row per token or per route.
void set_routes(MatmulJob& job, const TensorView& offsets, const TensorView& order,
                std::int32_t used, bool shared_input);

/// Enqueues a job with the kernels that the op was prepared for, and with the norm behind it where
/// it asks for one; nothing when it has no rows.
void run_job(Stream& stream, const PreparedOp& op, const MatmulJob& job, Workspace workspace);

}  // namespace strata::STRATA_SIMT
