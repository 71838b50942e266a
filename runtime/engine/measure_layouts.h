#pragma once

#include "runtime/core/device.h"
#include "runtime/models/model.h"
#include "runtime/streaming/link_speeds.h"

namespace strata {

/// Measures how the device's matmuls do with weights as the file has them, beside those in the
/// layout that they want, and how fast it packs: file_layout_read, file_layout_flops and pack of
/// `speeds`, whose device_read and device_flops are known. All stay 0 where there is no other
/// layout or no memory to measure with. A device of its own memory must also give the same bits
/// from both, for every type of block in the model and steps of one, a few and many tokens, else
/// file_layout_read stays 0. Takes a fraction of a second; nothing else uses the device meanwhile.
void measure_file_layout(const Model& model, Device& device, LinkSpeeds& speeds);

}  // namespace strata
