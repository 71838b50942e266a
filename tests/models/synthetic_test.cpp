// Model files with random weights: what they hold, and that they are the same wherever made.
#include "runtime/models/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

#include "runtime/core/error.h"
#include "runtime/models/model.h"
#include "runtime/weights/check_tensors.h"
#include "runtime/weights/random_blocks.h"
#include "tests/reference/dequantize.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

std::filesystem::path write(const TempFolder& folder, std::string_view shape,
                            const SyntheticOptions& options, int threads = 2) {
  const auto path = folder.path() / "model.gguf";
  const SyntheticModel model = plan_synthetic(*find_synthetic_shape(shape), options);
  OutputFile file(path, model.layout.file_bytes(), true);
  write_synthetic(model, file, threads, {});
  file.commit();
  EXPECT_EQ(std::filesystem::file_size(path), model.layout.file_bytes());
  return path;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Moments {
  double mean = 0;
  double deviation = 0;
};

Moments moments(const ModelFile& file, const TensorInfo& tensor) {
  const std::span<const std::byte> data = file.data(tensor);
  const std::int64_t columns = tensor.shape().columns();
  double sum = 0, squares = 0;
  for (std::int64_t row = 0; row < tensor.rows(); ++row) {
    const std::byte* at =
        data.data() + static_cast<std::size_t>(row) * row_bytes(*tensor.dtype(), columns);
    for (const reference::Element& e : reference::row_elements(*tensor.dtype(), at, columns)) {
      sum += e.value;
      squares += e.value * e.value;
    }
  }
  const auto count = static_cast<double>(tensor.elements());
  return {sum / count, std::sqrt(squares / count)};
}

TEST(Synthetic, EveryTypeAndShapeIsAModelWithSaneWeights) {
  const TempFolder folder;
  for (const char* shape : {"tiny", "tiny-tied", "tiny-moe"}) {
    for (const DTypeInfo& type : kDTypes) {
      if (!has_random_blocks(type.dtype)) continue;
      SCOPED_TRACE(std::string(shape) + " " + std::string(type.name));
      SyntheticOptions options;
      options.type = type.dtype;
      const auto file = ModelFile::open(write(folder, shape, options));
      EXPECT_TRUE(check_tensors(*file).empty());
      EXPECT_TRUE(Model::load(file)->warnings().empty());
      for (const TensorInfo& tensor : file->tensors()) {
        if (tensor.n_dims == 1) continue;
        const Moments m = moments(*file, tensor);
        const double wanted = 1 / std::sqrt(static_cast<double>(tensor.shape().columns()));
        // The smallest matrix has 128 blocks. Squares of scales of 0.5 to 1.5 have the relative
        // deviation 0.54, so that of the values is off by 0.54 / 2 / sqrt(128) = 2.4 %: three
        // times that is allowed.
        EXPECT_NEAR(m.deviation, wanted, wanted * 0.08) << tensor.name;
        EXPECT_NEAR(m.mean, 0, wanted * 0.08) << tensor.name;
      }
    }
  }
}

TEST(Synthetic, NormsAreOneAndKeysAreThere) {
  const TempFolder folder;
  const auto file = ModelFile::open(write(folder, "tiny", {}));
  float first = 0;
  std::memcpy(&first, file->data(*file->find("output_norm.weight")).data(), sizeof first);
  EXPECT_EQ(first, 1.0F);
  EXPECT_EQ(file->metadata().find_string("tokenizer.ggml.model"), "no_vocab");
  EXPECT_EQ(file->metadata().find_i64("llama.vocab_size"), 512);
  EXPECT_EQ(file->metadata().find_i64("general.quantization_version"), 2);
  // Llama 3's factors: short waves kept, long ones stretched 32 times.
  const std::span<const std::byte> factors = file->data(*file->find("rope_freqs.weight"));
  float last = 0;
  std::memcpy(&first, factors.data(), sizeof first);
  std::memcpy(&last, factors.data() + factors.size() - sizeof last, sizeof last);
  EXPECT_EQ(first, 1.0F);
  EXPECT_GT(last, 1.0F);
}

TEST(Synthetic, BytesDependOnTheSeedAndNothingElse) {
  const TempFolder folder;
  SyntheticOptions options;
  options.type = DType::Q4_K;
  options.seed = 7;
  const std::string once = bytes_of(write(folder, "tiny-moe", options, 1));
  EXPECT_EQ(bytes_of(write(folder, "tiny-moe", options, 5)), once);
  options.seed = 8;
  EXPECT_NE(bytes_of(write(folder, "tiny-moe", options, 1)), once);
}

TEST(Synthetic, AShortModelIsTheBeginningOfTheLongOne) {
  const TempFolder folder;
  const TempFolder other;
  SyntheticOptions options;
  const auto whole = ModelFile::open(write(folder, "tiny", options));
  options.layers = 1;
  const auto cut = ModelFile::open(write(other, "tiny", options));
  EXPECT_EQ(cut->metadata().find_i64("llama.block_count"), 1);
  for (const TensorInfo& tensor : cut->tensors()) {
    const auto a = cut->data(tensor);
    const auto b = whole->data(*whole->find(tensor.name));
    EXPECT_TRUE(std::ranges::equal(a, b)) << tensor.name;
  }
  EXPECT_EQ(cut->find("blk.1.attn_q.weight"), nullptr);
}

TEST(Synthetic, TheOutputMatrixIsQuantizedAsUsual) {
  const std::map<DType, DType> usual = {{DType::Q4_0, DType::Q6_K},  {DType::Q5_K, DType::Q6_K},
                                        {DType::Q8_0, DType::Q8_0},  {DType::F16, DType::F16},
                                        {DType::MXFP4, DType::Q8_0}, {DType::IQ4_XS, DType::Q6_K}};
  const auto type_of = [](const SyntheticModel& model, std::string_view name) {
    for (const GgufHeader::Tensor& tensor : model.layout.tensors())
      if (tensor.name == name) return tensor.dtype;
    return DType::I8;
  };
  for (const auto& [type, output] : usual) {
    SyntheticOptions options;
    options.type = type;
    const SyntheticModel model = plan_synthetic(*find_synthetic_shape("tiny"), options);
    EXPECT_EQ(type_of(model, "output.weight"), output);
    EXPECT_EQ(type_of(model, "token_embd.weight"), type);
    EXPECT_EQ(type_of(model, "blk.0.ffn_down.weight"), type);
    const SyntheticModel tied = plan_synthetic(*find_synthetic_shape("tiny-tied"), options);
    EXPECT_EQ(type_of(tied, "token_embd.weight"), output) << "it is the output matrix";
    options.output_type = DType::Q5_0;
    options.embedding_type = DType::F16;
    const SyntheticModel chosen = plan_synthetic(*find_synthetic_shape("tiny"), options);
    EXPECT_EQ(type_of(chosen, "output.weight"), DType::Q5_0);
    EXPECT_EQ(type_of(chosen, "token_embd.weight"), DType::F16);
  }
}

// The numbers of parameters that the model cards and the weights' own indices give.
TEST(Synthetic, RealShapesHaveTheirParameters) {
  const std::map<std::string_view, std::int64_t> parameters = {
      {"llama-1b", 1'235'814'400},      {"llama-8b", 8'030'261'248},
      {"llama-70b", 70'553'706'496},    {"qwen3-0.6b", 596'049'920},
      {"qwen3-1.7b", 1'720'574'976},    {"qwen3-8b", 8'190'735'360},
      {"qwen3-30b-a3b", 30'532'122'624}};
  for (const auto& [name, count] : parameters) {
    std::int64_t elements = 0;
    const SyntheticModel model = plan_synthetic(*find_synthetic_shape(name), {});
    for (const GgufHeader::Tensor& tensor : model.layout.tensors())
      if (tensor.name != "rope_freqs.weight") elements += tensor.shape.elements();
    EXPECT_EQ(elements, count) << name;
  }
}

TEST(Synthetic, RefusesLayersThatTheModelHasNot) {
  SyntheticOptions options;
  options.layers = 3;
  EXPECT_THROW(plan_synthetic(*find_synthetic_shape("tiny"), options), Error);
  EXPECT_EQ(find_synthetic_shape("huge"), nullptr);
}

TEST(Synthetic, StopsWhenProgressThrows) {
  const TempFolder folder;
  const SyntheticModel model = plan_synthetic(*find_synthetic_shape("tiny"), {});
  OutputFile file(folder.path() / "x", model.layout.file_bytes(), false);
  EXPECT_THROW(
      write_synthetic(model, file, 2, [](std::uint64_t, std::uint64_t) { throw std::bad_alloc(); }),
      std::bad_alloc);
}

}  // namespace
}  // namespace strata::test
