// ModelFile::open of a Hugging Face model.
#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/weights/model_file_builder.h"
#include "runtime/weights/printable.h"
#include "runtime/weights/safetensors.h"

namespace strata {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{4} << 20;
// A name and a file name for each of a hundred thousand tensors.
constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{16} << 20;

// The text of a small file.
std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  const MappedFile file = MappedFile::open(path);
  if (file.size() > limit)
    throw Error(ErrorCode::bad_model, path.string(),
                fmt::format("has {} bytes, more than the limit of {}", file.size(), limit));
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

std::shared_ptr<const ModelFile> ModelFileBuilder::build_hf(const std::filesystem::path& path,
                                                            const HfDirectory& found) {
  std::error_code error;
  if (!found.weights.empty() && !std::filesystem::exists(found.weights, error))
    MappedFile::open(found.weights, options_);  // says why not
  if (!std::filesystem::exists(found.config, error))
    throw Error(ErrorCode::bad_model, path.string(),
                "has no config.json beside it, which says what model it is",
                "download the whole directory");
  model_->path_ = path;
  model_->directory_ = found.directory;
  model_->format_ = "safetensors";
  model_->metadata_ = read_hf_config(read_text(found.config, kMaxConfigBytes),
                                     found.config.string(), model_->texts_);
  if (found.index.empty())
    add_safetensors(found.weights);
  else
    add_indexed_shards(found);
  return finish();
}

void ModelFileBuilder::add_safetensors(const std::filesystem::path& path) {
  model_->shards_.push_back(MappedFile::open(path, options_));
  const auto shard = static_cast<std::uint32_t>(model_->shards_.size() - 1);
  append(parse_safetensors(model_->shards_.back().bytes(), path.string(), budget_, model_->texts_,
                           shard));
}

void ModelFileBuilder::add_indexed_shards(const HfDirectory& found) {
  const HfIndex index =
      parse_hf_index(read_text(found.index, kMaxIndexBytes), found.index.string());
  for (std::size_t i = 0; i < index.shards.size(); ++i) {
    const std::filesystem::path path = found.directory / index.shards[i];
    if (std::error_code error; !std::filesystem::exists(path, error))
      throw Error(ErrorCode::io, path.string(),
                  fmt::format("part {} of {} is missing", i + 1, index.shards.size()),
                  fmt::format("put it beside {}", found.index.filename().string()));
    add_safetensors(path);
  }
  check_indexed(index, found.index);
}

// What the index promises is there, in the shard that it says.
void ModelFileBuilder::check_indexed(const HfIndex& index,
                                     const std::filesystem::path& path) const {
  const auto& tensors = model_->tensors_;
  NameIndex names(tensors.size());
  const auto name_of = [&](std::uint32_t i) { return tensors[i].name; };
  for (std::uint32_t i = 0; i < tensors.size(); ++i) names.insert(tensors[i].name, i, name_of);
  for (const HfIndex::Entry& entry : index.tensors) {
    const auto at = names.find(entry.tensor, name_of);
    if (at && tensors[*at].shard == entry.shard) continue;
    throw Error(
        ErrorCode::bad_model, path.string(),
        fmt::format("says that tensor \"{}\" is in {}, which {}", printable(entry.tensor),
                    index.shards[entry.shard], at ? "another part has" : "does not have it"),
        "the parts belong to different downloads: download them again");
  }
}

}  // namespace strata
