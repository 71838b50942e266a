#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/commands/commands.h"
#include "apps/load.h"
#include "runtime/engine/memory_text.h"
#include "runtime/weights/describe.h"
#include "runtime/weights/digest.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

std::string summary_text(const ModelFile& file, const ModelSummary& summary) {
  std::string text = fmt::format("{}: {}, architecture {}\n", file.path().string(), summary.format,
                                 summary.architecture.value_or("(none)"));
  if (summary.name) text += fmt::format("name        {}\n", *summary.name);
  text += fmt::format("parameters  {} in {} tensors, {:.2f} bits each\n", summary.parameters,
                      file.tensors().size(), summary.bits_per_parameter);
  text += fmt::format("bytes       {} of tensors, {} on disk\n", bytes_text(summary.tensor_bytes),
                      bytes_text(summary.file_bytes));
  for (const ShardSummary& shard : summary.shards)
    if (summary.shards.size() > 1)
      text += fmt::format("shard       {}: {} tensors, {}\n", shard.path, shard.tensors,
                          bytes_text(shard.file_bytes));
  return text;
}

std::string full_text(const ModelFile& file, const ModelSummary& summary) {
  std::string text = summary_text(file, summary);
  text += fmt::format("\nmetadata ({} keys)\n", file.metadata().size());
  for (const MetadataEntry& entry : file.metadata().entries())
    text += fmt::format("  {:<44} {:<16} {}\n", entry.key, entry.value.type_name(),
                        entry.value.to_text());
  text += fmt::format("\ntensors ({})\n", file.tensors().size());
  for (const TensorInfo& tensor : file.tensors())
    text += fmt::format("  {:<36} {:<8} {:>20} {:>14} B at {}\n", tensor.name, tensor.type_name(),
                        dimensions_text(tensor), tensor.bytes, tensor.offset);
  text += "\ntypes\n";
  for (const TypeSummary& type : summary.types)
    text += fmt::format("  {:<8} {:>6} tensors {:>16} elements {:>12}{}\n", type.name, type.tensors,
                        type.elements, bytes_text(type.bytes),
                        type.computable ? "" : "  (Strata cannot compute with it)");
  return text;
}

template <class T>
T read_raw(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

Json number_json(ValueType type, const std::byte* bytes) {
  switch (type) {
    case ValueType::u8:
      return read_raw<std::uint8_t>(bytes);
    case ValueType::i8:
      return read_raw<std::int8_t>(bytes);
    case ValueType::u16:
      return read_raw<std::uint16_t>(bytes);
    case ValueType::i16:
      return read_raw<std::int16_t>(bytes);
    case ValueType::u32:
      return read_raw<std::uint32_t>(bytes);
    case ValueType::i32:
      return read_raw<std::int32_t>(bytes);
    case ValueType::f32:
      return read_raw<float>(bytes);
    case ValueType::boolean:
      return read_raw<std::uint8_t>(bytes) != 0;
    case ValueType::u64:
      return read_raw<std::uint64_t>(bytes);
    case ValueType::i64:
      return read_raw<std::int64_t>(bytes);
    case ValueType::f64:
      return read_raw<double>(bytes);
    case ValueType::string:
    case ValueType::array:
      break;
  }
  return nullptr;
}

Json value_json(const MetadataValue& value) {
  if (value.type == ValueType::string) return std::string(value.text());
  if (!value.is_array()) return number_json(value.type, value.raw.data());
  Json list = Json::array();
  for (std::string_view text : value.strings) list.push_back(std::string(text));
  if (value.element != ValueType::string)
    for (std::uint64_t i = 0; i < value.count(); ++i)
      list.push_back(
          number_json(value.element, value.raw.data() + i * value_type_bytes(value.element)));
  return list;
}

Json full_json(const ModelFile& file, const ModelSummary& summary) {
  Json object = {{"path", file.path().string()},
                 {"format", summary.format},
                 {"architecture", summary.architecture ? Json(*summary.architecture) : Json()},
                 {"name", summary.name ? Json(*summary.name) : Json()},
                 {"parameters", summary.parameters},
                 {"tensor_bytes", summary.tensor_bytes},
                 {"file_bytes", summary.file_bytes},
                 {"bits_per_parameter", summary.bits_per_parameter}};
  object["metadata"] = Json::object();
  for (const MetadataEntry& entry : file.metadata().entries())
    object["metadata"][std::string(entry.key)] = value_json(entry.value);
  object["tensors"] = Json::array();
  for (const TensorInfo& tensor : file.tensors()) {
    Json shape = Json::array();
    for (std::uint32_t i = 0; i < tensor.n_dims; ++i) shape.push_back(tensor.ne[i]);
    object["tensors"].push_back({{"name", std::string(tensor.name)},
                                 {"type", std::string(tensor.type_name())},
                                 {"ne", shape},
                                 {"bytes", tensor.bytes},
                                 {"offset", tensor.offset},
                                 {"shard", tensor.shard}});
  }
  object["types"] = Json::object();
  for (const TypeSummary& type : summary.types)
    object["types"][std::string(type.name)] = {{"tensors", type.tensors},
                                               {"elements", type.elements},
                                               {"bytes", type.bytes},
                                               {"computable", type.computable}};
  object["shards"] = Json::array();
  for (const ShardSummary& shard : summary.shards)
    object["shards"].push_back(
        {{"path", shard.path}, {"file_bytes", shard.file_bytes}, {"tensors", shard.tensors}});
  return object;
}

}  // namespace

int inspect_command(const cli::Arguments& arguments, Console& console) {
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  const ModelSummary summary = summarize(*file);
  std::string digest;
  if (arguments.flag(OptionId::digest)) {
    digest = to_string(tensor_digest(*file, [&](std::uint64_t done, std::uint64_t total) {
      console.progress("Reading", done, total);
    }));
    console.progress_done();
  }
  if (arguments.flag(OptionId::json)) {
    Json object = full_json(*file, summary);
    if (!digest.empty()) object["digest"] = digest;
    write_result(object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return 0;
  }
  write_result(full_text(*file, summary) +
               (digest.empty() ? "" : fmt::format("\ndigest  {}\n", digest)));
  return 0;
}

}  // namespace strata::apps
