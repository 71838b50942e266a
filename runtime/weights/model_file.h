#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/mapped_file.h"
#include "runtime/weights/metadata.h"
#include "runtime/weights/name_index.h"
#include "runtime/weights/tensor_info.h"

namespace strata {

struct LoadOptions {
  bool mlock = false;    ///< pin the weights in memory; a refusal becomes a warning
  bool no_mmap = false;  ///< read the files into memory instead of mapping them
};

/// A read-only model file, or the set of its shards as one model: metadata and named tensors whose
/// bytes are proven to lie inside their shards. Independent of the file format. Shared by whoever
/// uses its bytes; immutable, all calls are safe from several threads.
class ModelFile {
 public:
  /// Opens a GGUF file; of a split set, the first shard, whose siblings are found by name. Or a
  /// Hugging Face model: its directory, its model.safetensors or its model.safetensors.index.json;
  /// tensors have their names there, and metadata() is config.json (flatten_json) and
  /// general.architecture. Throws Error(io), Error(bad_model), Error(unsupported_model) or
  /// Error(out_of_memory), see MappedFile::open, parse_gguf and parse_safetensors; the parsers
  /// allocate at most 64 MiB. Vocabulary-only files have no tensors and open like any other.
  static std::shared_ptr<const ModelFile> open(const std::filesystem::path& path,
                                               LoadOptions options = {});

  /// The path that was opened.
  const std::filesystem::path& path() const { return path_; }
  /// Where a Hugging Face model's files lie (config.json, the tokenizer's); empty for other
  /// formats.
  const std::filesystem::path& directory() const { return directory_; }
  bool is_hugging_face() const { return !directory_.empty(); }
  /// "GGUF v3", "safetensors"
  const std::string& format() const { return format_; }
  /// Of the first shard, the others only say which part they are; or config.json.
  const Metadata& metadata() const { return metadata_; }
  /// The key general.architecture. Throws Error(bad_model) where it is missing or no string.
  std::string_view architecture() const { return metadata_.require_string("general.architecture"); }

  /// In file order, shard after shard.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const TensorInfo* find(std::string_view name) const;
  /// Throws Error(bad_model) naming the missing tensor.
  const TensorInfo& require(std::string_view name) const;
  /// Position of `tensor`, which must come from this file, in tensors().
  std::uint32_t index_of(const TensorInfo& tensor) const {
    return static_cast<std::uint32_t>(&tensor - tensors_.data());
  }
  /// The tensor's bytes, in the mapping. `tensor` must come from this file.
  std::span<const std::byte> data(const TensorInfo& tensor) const {
    return shards_[tensor.shard].bytes().subspan(static_cast<std::size_t>(tensor.offset),
                                                 static_cast<std::size_t>(tensor.bytes));
  }
  struct Place {
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;  ///< from the start of the shard
  };
  /// Where bytes of the mapping lie; empty for bytes that are not of these files.
  std::optional<Place> place_of(std::span<const std::byte> bytes) const noexcept;
  /// Starts reading bytes of the mapping ahead, or lets the system drop their pages from this
  /// process (MappedFile). Advice only; bytes that are not of these files are left alone.
  void will_need(std::span<const std::byte> bytes) const noexcept;
  void dont_need(std::span<const std::byte> bytes) const noexcept;
  /// Throws Error(io) when bytes of a mapping could not be had when they were touched: what was
  /// computed from them is worth nothing. A load per shard: to be asked after each step.
  void require_intact() const {
    for (const MappedFile& shard : shards_) shard.require_intact();
  }
  /// Sum of the tensors' bytes.
  std::uint64_t tensor_bytes() const { return tensor_bytes_; }

  std::span<const MappedFile> shards() const { return shards_; }
  /// Requests that were not granted (mlock), one line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class ModelFileBuilder;
  ModelFile() = default;
  const MappedFile* shard_of(const std::byte* address) const noexcept;

  std::filesystem::path path_;
  std::filesystem::path directory_;
  std::vector<MappedFile> shards_;
  std::deque<std::string> texts_;  ///< names and values that are not the bytes of a shard
  std::string format_;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
  NameIndex index_;
  std::uint64_t tensor_bytes_ = 0;
  std::vector<std::string> warnings_;
};

/// Throws Error(unsupported_model) naming the type unless Strata can compute with the tensor's
/// type. `file` is only named in the message.
DType require_computable(const ModelFile& file, const TensorInfo& tensor);

}  // namespace strata
