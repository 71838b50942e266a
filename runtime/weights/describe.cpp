#include "runtime/weights/describe.h"

#include <fmt/format.h>

#include <algorithm>

namespace strata {
namespace {

/// A string value, or empty when the key is missing or is something else.
std::optional<std::string> lenient_string(const Metadata& metadata, std::string_view key) {
  const MetadataValue* value = metadata.find(key);
  if (!value || value->type != ValueType::string) return std::nullopt;
  return std::string(value->text());
}

TypeSummary& entry_of(std::vector<TypeSummary>& types, const TensorInfo& tensor) {
  for (TypeSummary& type : types)
    if (type.name == tensor.type_name()) return type;
  types.push_back({tensor.type_name(), tensor.dtype().has_value()});
  return types.back();
}

}  // namespace

ModelSummary summarize(const ModelFile& file) {
  ModelSummary summary;
  summary.format = file.format();
  summary.architecture = lenient_string(file.metadata(), "general.architecture");
  summary.name = lenient_string(file.metadata(), "general.name");
  summary.tensor_bytes = file.tensor_bytes();
  for (const MappedFile& shard : file.shards()) {
    summary.shards.push_back({shard.path().string(), shard.size()});
    summary.file_bytes += shard.size();
  }
  for (const TensorInfo& tensor : file.tensors()) {
    TypeSummary& type = entry_of(summary.types, tensor);
    // A tensor lies in its file, and no type packs more than eight elements into a byte.
    const auto elements = static_cast<std::uint64_t>(tensor.elements());
    ++type.tensors;
    type.elements += elements;
    type.bytes += tensor.bytes;
    summary.parameters += elements;
    ++summary.shards[tensor.shard].tensors;
  }
  std::sort(summary.types.begin(), summary.types.end(),
            [](const TypeSummary& a, const TypeSummary& b) {
              return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
            });
  if (summary.parameters > 0)
    summary.bits_per_parameter =
        8.0 * static_cast<double>(summary.tensor_bytes) / static_cast<double>(summary.parameters);
  return summary;
}

std::string dimensions_text(const TensorInfo& tensor) {
  std::string text;
  for (std::uint32_t i = 0; i < tensor.n_dims; ++i)
    text += fmt::format("{}{}", i == 0 ? "" : " x ", tensor.ne[i]);
  return text;
}

}  // namespace strata
