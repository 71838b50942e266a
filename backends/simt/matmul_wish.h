#pragma once

#include "runtime_api.h"

namespace strata::STRATA_SIMT {

/// Who is to compute the products of prompts.
enum class MatmulWish { measured, own, library };

/// What STRATA_MATMUL in the environment says; measured where it says nothing. Throws Error{usage}
/// for another word: when a device is opened, so that no model is loaded first.
MatmulWish matmul_wish();

}  // namespace strata::STRATA_SIMT
