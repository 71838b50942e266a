#include "runtime/weights/hf_directory.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/weights/flatten_json.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".safetensors";
constexpr std::string_view kIndexEnd = ".safetensors.index.json";
constexpr std::size_t kMaxShards = 65'536;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// "model-00002-of-00005.safetensors"
bool is_part(std::string_view name) {
  name.remove_suffix(kExtension.size());
  const std::size_t of = name.rfind("-of-");
  if (of == std::string_view::npos) return false;
  const auto digits = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const std::size_t dash = name.rfind('-', of == 0 ? 0 : of - 1);
  return dash != std::string_view::npos && digits(name.substr(dash + 1, of - dash - 1)) &&
         digits(name.substr(of + 4));
}

struct Instead {
  std::string_view file;
  std::string_view what;
  std::string_view hint;
};
constexpr Instead kInstead[] = {
    {"pytorch_model.bin.index.json", "its weights are Python pickles (pytorch_model-*.bin)",
     "use the model's safetensors files; Strata never reads pickles"},
    {"pytorch_model.bin", "its weights are a Python pickle (pytorch_model.bin)",
     "use the model's safetensors files; Strata never reads pickles"},
    {"adapter_config.json", "it is an adapter (adapter_config.json), not a model",
     "merge it into its base model first"},
    {"consolidated.safetensors", "it has Mistral's own files (consolidated.safetensors) only",
     "use the files of the same model that are named model*.safetensors"},
    {"params.json", "it has its publisher's own files (params.json) only",
     "use the same model in the Hugging Face format"},
};

[[noreturn]] void fail_directory(const fs::path& directory) {
  for (const Instead& instead : kInstead)
    if (is_there(directory / instead.file))
      throw Error(ErrorCode::bad_model, directory.string(),
                  fmt::format("is a directory, and {}", instead.what), std::string(instead.hint));
  throw Error(ErrorCode::bad_model, directory.string(),
              "is a directory, not a regular file, and holds no model.safetensors or "
              "model.safetensors.index.json",
              "name a .gguf file or the directory of a Hugging Face model");
}

HfDirectory in_directory(const fs::path& directory) {
  HfDirectory found{directory, directory / "config.json", {}, {}};
  if (is_there(directory / "model.safetensors"))
    found.weights = directory / "model.safetensors";
  else if (is_there(directory / "model.safetensors.index.json"))
    found.index = directory / "model.safetensors.index.json";
  else
    fail_directory(directory);
  return found;
}

// GGUF's converters named some architectures anew, and some after what they are equal to.
constexpr std::pair<std::string_view, std::string_view> kGgufNames[] = {
    {"mistral", "llama"},         {"mixtral", "llama"},         {"qwen2_moe", "qwen2moe"},
    {"qwen3_moe", "qwen3moe"},    {"qwen3_5", "qwen35"},        {"qwen3_next", "qwen3next"},
    {"deepseek_v2", "deepseek2"}, {"deepseek_v3", "deepseek2"}, {"glm4_moe", "glm4moe"},
    {"gpt_oss", "gpt-oss"}};

std::string_view gguf_name(std::string_view model_type) {
  for (const auto& [theirs, ours] : kGgufNames)
    if (theirs == model_type) return ours;
  return model_type;
}

bool is_plain_name(std::string_view name) {
  return name.size() > kExtension.size() && name.ends_with(kExtension) && !name.starts_with('.') &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

}  // namespace

std::optional<HfDirectory> find_hf_directory(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return in_directory(path);
  const std::string name = path.filename().string();
  const fs::path directory = folder_of(path);
  if (name.size() > kIndexEnd.size() && name.ends_with(kIndexEnd))
    return HfDirectory{directory, directory / "config.json", {}, path};
  if (name.size() <= kExtension.size() || !name.ends_with(kExtension)) return std::nullopt;
  if (is_part(name))
    throw Error(ErrorCode::bad_model, path.string(), "is one part of a model in several files",
                fmt::format("open the directory, {}", directory.string()));
  return HfDirectory{directory, directory / "config.json", path, {}};
}

HfIndex parse_hf_index(std::string_view text, const std::string& file_name) {
  constexpr std::string_view kMap = "weight_map.";
  std::deque<std::string> texts;
  const Metadata metadata = flatten_json(text, file_name, texts);
  HfIndex index;
  for (const MetadataEntry& entry : metadata.entries()) {
    if (!entry.key.starts_with(kMap)) continue;
    const std::string_view shard = metadata.require_string(entry.key);
    if (!is_plain_name(shard))
      metadata.fail(entry.key, fmt::format("is \"{}\", which is not the plain name of a "
                                           ".safetensors file",
                                           printable(shard)));
    index.shards.emplace_back(shard);
  }
  std::sort(index.shards.begin(), index.shards.end());
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()), index.shards.end());
  if (index.shards.empty() || index.shards.size() > kMaxShards)
    metadata.fail("weight_map",
                  fmt::format("names {} files, wanted 1 to {}", index.shards.size(), kMaxShards));
  for (const MetadataEntry& entry : metadata.entries()) {
    if (!entry.key.starts_with(kMap)) continue;
    const auto at = std::lower_bound(index.shards.begin(), index.shards.end(), entry.value.text());
    index.tensors.push_back({std::string(entry.key.substr(kMap.size())),
                             static_cast<std::uint32_t>(at - index.shards.begin())});
  }
  return index;
}

Metadata read_hf_config(std::string_view text, const std::string& file_name,
                        std::deque<std::string>& texts) {
  Metadata metadata = flatten_json(text, file_name, texts);
  constexpr std::string_view kKey = "general.architecture";
  const std::string_view name = gguf_name(metadata.require_string("model_type"));
  MetadataValue value;
  value.type = ValueType::string;
  value.raw = std::as_bytes(std::span(name));
  if (!metadata.add(kKey, std::move(value)))
    metadata.fail(kKey, "is a key of GGUF, which config.json must not have");
  return metadata;
}

}  // namespace strata
