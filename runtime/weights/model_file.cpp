#include "runtime/weights/model_file.h"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/weights/model_file_builder.h"
#include "runtime/weights/printable.h"

namespace strata {

std::shared_ptr<const ModelFile> ModelFileBuilder::build_gguf(const std::filesystem::path& path) {
  GgufFile first = add_gguf_shard(path);
  model_->path_ = path;
  model_->format_ = fmt::format("GGUF v{}", first.version);
  model_->metadata_ = std::move(first.metadata);
  model_->tensors_ = std::move(first.tensors);
  if (const auto name = check_first_shard(path, model_->metadata_)) add_gguf_siblings(path, *name);
  check_tensor_count();
  return finish();
}

std::shared_ptr<const ModelFile> ModelFileBuilder::finish() {
  index_tensors();
  for (const MappedFile& shard : model_->shards_)
    if (!shard.warning().empty()) model_->warnings_.push_back(shard.warning());
  return model_;
}

GgufFile ModelFileBuilder::add_gguf_shard(const std::filesystem::path& path) {
  model_->shards_.push_back(MappedFile::open(path, options_));
  const auto shard = static_cast<std::uint32_t>(model_->shards_.size() - 1);
  return parse_gguf(model_->shards_.back().bytes(), path.string(), budget_, shard);
}

void ModelFileBuilder::add_gguf_siblings(const std::filesystem::path& first,
                                         const SplitName& name) {
  for (std::uint32_t number = 2; number <= name.count; ++number) {
    const std::filesystem::path path = split_path(first, name, number);
    if (std::error_code error; !std::filesystem::exists(path, error))
      throw Error(ErrorCode::io, path.string(),
                  fmt::format("part {} of {} is missing", number, name.count),
                  fmt::format("put it beside {}", first.filename().string()));
    const GgufFile part = add_gguf_shard(path);
    check_later_shard(model_->metadata_, part.metadata, number);
    append(part.tensors);
  }
}

void ModelFileBuilder::append(std::span<const TensorInfo> tensors) {
  charge(Checked(tensors.size()) * (2 * sizeof(TensorInfo)));
  model_->tensors_.insert(model_->tensors_.end(), tensors.begin(), tensors.end());
}

void ModelFileBuilder::check_tensor_count() {
  const auto declared = read_split_keys(model_->metadata_).tensors;
  if (declared && *declared != model_->tensors_.size())
    model_->metadata_.fail("split.tensors.count",
                           fmt::format("is {}, and the {} parts have {} tensors", *declared,
                                       model_->shards_.size(), model_->tensors_.size()),
                           "parts are missing or mixed up: download them again");
}

void ModelFileBuilder::index_tensors() {
  auto& tensors = model_->tensors_;
  charge(Checked(NameIndex::bytes_for(tensors.size())));
  model_->index_ = NameIndex(tensors.size());
  auto name_of = [&](std::uint32_t i) { return tensors[i].name; };
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    if (const auto earlier = model_->index_.insert(tensors[i].name, i, name_of))
      throw Error(ErrorCode::bad_model, shard_name(tensors[i]),
                  fmt::format("tensor \"{}\" is also in {}", printable(tensors[i].name),
                              shard_name(tensors[*earlier])),
                  "the parts belong to different downloads: download them again");
    // Each range lies in its own mapping, so the sum cannot pass the address space.
    model_->tensor_bytes_ += tensors[i].bytes;
  }
}

std::string ModelFileBuilder::shard_name(const TensorInfo& tensor) const {
  return model_->shards_[tensor.shard].path().string();
}

void ModelFileBuilder::charge(Checked bytes) {
  if (budget_.charge(bytes)) return;
  throw Error(ErrorCode::bad_model, model_->metadata_.file(),
              fmt::format("listing its {} tensors would take more than {} bytes of memory",
                          model_->tensors_.size(), budget_.limit()));
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::filesystem::path& path,
                                                 LoadOptions options) {
  if (const std::optional<HfDirectory> found = find_hf_directory(path))
    return ModelFileBuilder(options).build_hf(path, *found);
  return ModelFileBuilder(options).build_gguf(path);
}

const TensorInfo* ModelFile::find(std::string_view name) const {
  const auto found = index_.find(name, [this](std::uint32_t i) { return tensors_[i].name; });
  return found ? &tensors_[*found] : nullptr;
}

const TensorInfo& ModelFile::require(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  throw Error(ErrorCode::bad_model, path().string(),
              fmt::format("tensor \"{}\" is missing", printable(name)),
              "the file is incomplete, or a vocabulary only: download or convert it again");
}

const MappedFile* ModelFile::shard_of(const std::byte* address) const noexcept {
  const std::less_equal<> not_after;
  for (const MappedFile& shard : shards_) {
    const std::byte* begin = shard.bytes().data();
    if (not_after(begin, address) && !not_after(begin + shard.size(), address)) return &shard;
  }
  return nullptr;
}

std::optional<ModelFile::Place> ModelFile::place_of(
    std::span<const std::byte> bytes) const noexcept {
  const MappedFile* shard = shard_of(bytes.data());
  if (shard == nullptr) return std::nullopt;
  return Place{static_cast<std::uint32_t>(shard - shards_.data()),
               static_cast<std::uint64_t>(bytes.data() - shard->bytes().data())};
}

void ModelFile::will_need(std::span<const std::byte> bytes) const noexcept {
  if (const MappedFile* shard = shard_of(bytes.data()))
    shard->will_need(static_cast<std::uint64_t>(bytes.data() - shard->bytes().data()),
                     bytes.size());
}

void ModelFile::dont_need(std::span<const std::byte> bytes) const noexcept {
  if (const MappedFile* shard = shard_of(bytes.data()))
    shard->dont_need(static_cast<std::uint64_t>(bytes.data() - shard->bytes().data()),
                     bytes.size());
}

DType require_computable(const ModelFile& file, const TensorInfo& tensor) {
  if (const auto dtype = tensor.dtype()) return *dtype;
  throw Error(ErrorCode::unsupported_model, file.shards()[tensor.shard].path().string(),
              fmt::format("tensor \"{}\" has type {}, which Strata does not compute",
                          printable(tensor.name), tensor.type_name()),
              "use a file in another quantization, for example Q4_K_M or Q8_0");
}

}  // namespace strata
