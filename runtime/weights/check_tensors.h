#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/weights/digest.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// The first bad number of a tensor.
struct TensorDefect {
  std::uint32_t tensor = 0;  ///< index in ModelFile::tensors()
  std::int64_t block = 0;    ///< of the dtype; for F32, F16 and BF16 the element
  std::uint64_t offset = 0;  ///< of its bytes in the shard
  std::uint64_t count = 0;   ///< bad blocks or elements of this tensor in all
  std::string text;          ///< "model.gguf: tensor "x" ...: ..." for people
};

/// Looks for NaN and infinity in F32, F16 and BF16 tensors and in the block scales of quantized
/// ones (E8M0 NaN in MXFP4), one entry per bad tensor in file order; empty when all are sound.
/// Types whose scales Strata does not know are skipped. Reads every byte of the weights.
std::vector<TensorDefect> check_tensors(const ModelFile& file, const ByteProgress& progress = {});

}  // namespace strata
