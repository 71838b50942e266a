#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/metadata.h"

namespace strata {

/// The files of a Hugging Face model.
struct HfDirectory {
  std::filesystem::path directory;  ///< "." for files named without one
  std::filesystem::path config;
  /// Either one file with all tensors, or an index that says which file has which.
  std::filesystem::path weights;
  std::filesystem::path index;
};

/// What `path` opens as a Hugging Face model: a directory, a .safetensors file or its
/// .safetensors.index.json; empty for anything else, whether or not it exists. Of a directory,
/// model.safetensors before model.safetensors.index.json. Throws Error(bad_model) for a directory
/// without them, which says what it holds instead, and for one part of several.
std::optional<HfDirectory> find_hf_directory(const std::filesystem::path& path);

/// Which shard has which tensor, as the index says.
struct HfIndex {
  struct Entry {
    std::string tensor;
    std::uint32_t shard;
  };
  std::vector<std::string> shards;  ///< file names in the index's directory, each once, sorted
  std::vector<Entry> tensors;
};

/// Reads the weight_map of a model.safetensors.index.json. Shards are plain names of .safetensors
/// files: a name that leads out of the directory is refused. Throws Error(bad_model) whose subject
/// is `file_name`.
HfIndex parse_hf_index(std::string_view text, const std::string& file_name);

/// Reads config.json and adds general.architecture, GGUF's name of its model_type. The values are
/// kept in `texts`. Throws Error(bad_model).
Metadata read_hf_config(std::string_view text, const std::string& file_name,
                        std::deque<std::string>& texts);

}  // namespace strata
