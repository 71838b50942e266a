#include "runtime/engine/load_tokenizer.h"

#include "runtime/core/error.h"
#include "runtime/engine/hf_tokenizer.h"

namespace strata {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";

std::vector<std::string> strings(const Metadata& metadata, std::string_view key) {
  const auto list = metadata.find_string_array(key);
  if (!list) return {};
  return {list->begin(), list->end()};
}

}  // namespace

std::shared_ptr<const text::Tokenizer> load_tokenizer(const Metadata& metadata) {
  const std::string_view model = metadata.find_string(kModelKey).value_or("no_vocab");
  if (model == "no_vocab" || model == "none") return nullptr;
  text::VocabularyData data;
  data.model = model;
  data.pre = metadata.find_string("tokenizer.ggml.pre").value_or("");
  data.name = metadata.find_string("general.name").value_or("");
  data.tokens = strings(metadata, "tokenizer.ggml.tokens");
  data.scores = metadata.find_f32_array("tokenizer.ggml.scores").value_or(std::vector<float>());
  data.types =
      metadata.find_i32_array("tokenizer.ggml.token_type").value_or(std::vector<std::int32_t>());
  data.merges = strings(metadata, "tokenizer.ggml.merges");
#define STRATA_SPECIAL_ID(field, key) data.field = metadata.find_i64(key);
#include "runtime/text/special_ids.def"
#undef STRATA_SPECIAL_ID
  data.add_bos = metadata.find_bool("tokenizer.ggml.add_bos_token");
  data.add_eos = metadata.find_bool("tokenizer.ggml.add_eos_token");
  data.add_space_prefix = metadata.find_bool("tokenizer.ggml.add_space_prefix");
  return text::Tokenizer::create(std::move(data));
}

std::shared_ptr<const text::Tokenizer> load_tokenizer(const ModelFile& file) {
  if (file.is_hugging_face()) return load_hf_tokenizer(file.directory());
  return load_tokenizer(file.metadata());
}

std::shared_ptr<const text::Tokenizer> require_tokenizer(const ModelFile& file) {
  std::shared_ptr<const text::Tokenizer> tokenizer = load_tokenizer(file);
  if (tokenizer) return tokenizer;
  if (file.is_hugging_face()) {
    throw Error(ErrorCode::bad_model, file.directory().string(),
                "holds neither tokenizer.json nor tokenizer.model",
                "download one of them, or give token ids with --ids");
  }
  throw Error(ErrorCode::bad_model, file.metadata().file(),
              "holds no tokenizer (key " + std::string(kModelKey) + " is absent or no_vocab)",
              "give token ids with --ids");
}

}  // namespace strata
