#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "runtime/weights/metadata.h"

namespace strata {

/// The end of a shard's file name, "-00002-of-00005.gguf".
struct SplitName {
  std::string prefix;        ///< what stands before
  std::uint32_t number = 0;  ///< 1-based, as in the name
  std::uint32_t count = 0;
};

/// Empty when the name does not end that way.
std::optional<SplitName> parse_split_name(const std::filesystem::path& path);
/// The path of shard `number` (1-based) of a set.
std::filesystem::path split_path(const std::filesystem::path& first, const SplitName& name,
                                 std::uint32_t number);

/// The keys split.no (0-based), split.count and split.tensors.count.
struct SplitKeys {
  std::uint32_t number = 0;
  std::uint32_t count = 1;
  std::optional<std::uint64_t> tensors;
};

/// Reads and range-checks them; a file without split.count is the only shard of its model.
SplitKeys read_split_keys(const Metadata& metadata);

/// What the opened file says of its set: how many shards, under which names. Throws
/// Error(bad_model) when the name and the keys disagree, or when it is not the first shard (the
/// text names that one).
std::optional<SplitName> check_first_shard(const std::filesystem::path& path,
                                           const Metadata& metadata);

/// Throws Error(bad_model) unless the file with `metadata` is shard `number` (1-based) of the set
/// that begins with `first`.
void check_later_shard(const Metadata& first, const Metadata& metadata, std::uint32_t number);

}  // namespace strata
