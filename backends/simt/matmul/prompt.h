#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/simt/common.h"
#include "backends/simt/matmul/job.h"
#include "backends/simt/vendor_gemm.h"

// Products of prompts by the vendor's library: weights are made rows of bf16, a block of rows at a
// time, and multiplied with x by the library. Whether that or our own kernel is taken is measured.
namespace strata::STRATA_SIMT {

/// What was chosen for weights of one dtype, layout and number of columns: the library's way, or,
/// where `library` is null, our own kernel.
struct PromptChoice {
  VendorLibrary* library = nullptr;
  VendorWay way;
};

/// Whether the op is one that the library may compute: x rounded to bf16, no experts, and a step of
/// more tokens than a batch of sequences that are being decoded has.
bool is_prompt_matmul(const OpDesc& op);

/// The choice for a weight of this description, made once per process and device: by its dtype,
/// layout and columns, whatever its rows and the tokens of the step, so that row blocks and chunks
/// of a prompt are all computed alike. Measures at the first call, on memory of its own; then our
/// own kernel is chosen if there is not enough of it. matmul_wish() may say "own" or "library"
/// instead. Throws Error{usage} when the library is wished for and there is none.
PromptChoice choose_for_prompts(SimtDevice& device, const TensorDesc& w);

/// Workspace that run_by_library() takes for a weight of this description in a step of so many
/// tokens.
std::size_t prompt_workspace_bytes(const TensorDesc& w, std::int64_t tokens, bool gated);

/// Enqueues the job by the library; false, and nothing is enqueued, where the library does not take
/// operands like these.
bool run_by_library(Stream& stream, const PromptChoice& choice, const MatmulJob& job,
                    std::span<std::byte> workspace);

}  // namespace strata::STRATA_SIMT
