#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/weights/gguf_builder.h"

namespace strata::test {

/// What a shard says of itself.
struct SplitPart {
  std::uint16_t number = 0;  ///< 0-based
  std::uint16_t count = 1;
  std::int32_t tensors = 1;
  std::string architecture = {};      ///< empty: "llama" in the first part, no key in the others
  std::string tensor = "t.<number>";  ///< name of its only tensor; empty: none
};

/// File name to bytes.
using SplitFiles = std::map<std::string, std::string>;

/// "split-00001-of-00003.gguf"; `number` is 1-based.
std::string split_name(int number, int count);
/// One shard, as gguf-split writes it, with one tensor of 32 floats.
GgufBuilder split_part(const SplitPart& part);
/// A right set of `count` shards.
SplitFiles make_split_files(int count);

}  // namespace strata::test
