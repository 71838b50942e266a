#pragma once

#include "runtime/core/device.h"

namespace strata {

/// What a GPU does at best, measured through the same seam as all work: copies of memory that no
/// cache holds (bytes read and written), and `linear` with square matrices of BF16 and F32, the
/// largest that its memory and a tenth of a second allow. 0 for what the device does not support.
Ceilings measure_gpu_ceilings(Device& device);

}  // namespace strata
