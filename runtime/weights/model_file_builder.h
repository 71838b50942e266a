#pragma once

#include <filesystem>
#include <memory>

#include "runtime/weights/gguf.h"
#include "runtime/weights/hf_directory.h"
#include "runtime/weights/memory_budget.h"
#include "runtime/weights/model_file.h"
#include "runtime/weights/split_set.h"

namespace strata {

/// Opens shard after shard, sharing one memory budget, and joins them. For ModelFile::open only;
/// used once.
class ModelFileBuilder {
 public:
  explicit ModelFileBuilder(LoadOptions options) : options_{options.mlock, options.no_mmap} {}

  std::shared_ptr<const ModelFile> build_gguf(const std::filesystem::path& path);
  std::shared_ptr<const ModelFile> build_hf(const std::filesystem::path& path,
                                            const HfDirectory& found);

 private:
  std::shared_ptr<const ModelFile> finish();
  GgufFile add_gguf_shard(const std::filesystem::path& path);
  void add_gguf_siblings(const std::filesystem::path& first, const SplitName& name);
  void check_tensor_count();
  void add_safetensors(const std::filesystem::path& path);
  void add_indexed_shards(const HfDirectory& found);
  void check_indexed(const HfIndex& index, const std::filesystem::path& path) const;
  void append(std::span<const TensorInfo> tensors);
  void index_tensors();
  std::string shard_name(const TensorInfo& tensor) const;
  void charge(Checked bytes);

  MapOptions options_;
  MemoryBudget budget_;
  std::shared_ptr<ModelFile> model_{new ModelFile()};
};

}  // namespace strata
