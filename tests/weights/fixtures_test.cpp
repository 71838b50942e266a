// Every model file of the reference data opens, and says what other programs say of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "runtime/weights/model_file.h"
#include "tests/support/shared_data.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> all_fixtures() {
  std::vector<fs::path> files;
  for (const char* folder : {"fixtures", "models"})
    for (const auto& entry : fs::recursive_directory_iterator(test::shared_root() / folder))
      if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Fixtures, EveryFileOpensAndItsTensorsAreReachable) {
  STRATA_NEEDS_SHARED();
  const auto files = all_fixtures();
  ASSERT_GE(files.size(), 45u);
  for (const fs::path& path : files) {
    SCOPED_TRACE(path.string());
    const auto model = ModelFile::open(path);
    EXPECT_THAT(model->format(), testing::AnyOf("GGUF v2", "GGUF v3"));
    EXPECT_FALSE(model->architecture().empty());
    const bool vocabulary_only = path.parent_path().filename() == "tokenizers";
    EXPECT_EQ(model->tensors().empty(), vocabulary_only);
    for (const TensorInfo& tensor : model->tensors()) {
      EXPECT_EQ(model->find(tensor.name), &tensor);
      EXPECT_EQ(model->data(tensor).size(), tensor.bytes);
      EXPECT_EQ(row_bytes(require_computable(*model, tensor), tensor.columns()),
                tensor.row_bytes());
    }
  }
}

TEST(Fixtures, MetadataOfLlama3) {
  STRATA_NEEDS_SHARED();
  const auto model = ModelFile::open(test::shared_root() / "fixtures/models/llama3/model.gguf");
  const Metadata& keys = model->metadata();
  EXPECT_EQ(model->architecture(), "llama");
  EXPECT_EQ(keys.require_u32("llama.block_count"), keys.require_u64("llama.block_count"));
  EXPECT_GT(keys.require_f32("llama.attention.layer_norm_rms_epsilon"), 0.0f);
  EXPECT_EQ(keys.require_string("tokenizer.ggml.model"), "gpt2");
  const auto tokens = keys.find_string_array("tokenizer.ggml.tokens");
  const auto types = keys.find_i32_array("tokenizer.ggml.token_type", 1, 6);
  ASSERT_TRUE(tokens && types);
  EXPECT_EQ(tokens->size(), types->size());
  const TensorInfo& embedding = model->require("token_embd.weight");
  EXPECT_EQ(embedding.rows(), static_cast<std::int64_t>(tokens->size()));
  EXPECT_EQ(embedding.columns(), keys.require_u32("llama.embedding_length"));
  EXPECT_EQ(embedding.shape(), (Shape{embedding.rows(), embedding.columns()}));
}

}  // namespace
}  // namespace strata
