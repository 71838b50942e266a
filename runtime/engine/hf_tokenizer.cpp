#include "runtime/engine/hf_tokenizer.h"

#include <optional>

#include "runtime/core/mapped_file.h"
#include "runtime/text/hf_directory.h"

namespace strata {
namespace {

std::optional<MappedFile> open_if_there(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return MappedFile::open(path);
}

std::optional<std::string_view> text_of(const std::optional<MappedFile>& file) {
  if (!file) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(file->bytes().data()), file->size());
}

}  // namespace

std::shared_ptr<const text::Tokenizer> load_hf_tokenizer(const std::filesystem::path& directory) {
  const auto json = open_if_there(directory / "tokenizer.json");
  const auto model = json ? std::nullopt : open_if_there(directory / "tokenizer.model");
  if (!json && !model) return nullptr;
  const auto config = open_if_there(directory / "tokenizer_config.json");
  const auto special = open_if_there(directory / "special_tokens_map.json");
  const auto generation = open_if_there(directory / "generation_config.json");
  const auto model_config = open_if_there(directory / "config.json");
  return text::Tokenizer::create(text::read_hf_vocabulary({.directory = directory.string(),
                                                           .tokenizer_json = text_of(json),
                                                           .tokenizer_model = text_of(model),
                                                           .tokenizer_config = text_of(config),
                                                           .special_tokens_map = text_of(special),
                                                           .generation_config = text_of(generation),
                                                           .config = text_of(model_config)}));
}

}  // namespace strata
