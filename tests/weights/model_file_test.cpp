// Files that are right: both versions, alignments, every stored type, split sets, load options.
#include "runtime/weights/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/weights/describe.h"
#include "runtime/weights/digest.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/split_files.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

using testing::HasSubstr;

class ModelFiles : public testing::Test {
 protected:
  std::shared_ptr<const ModelFile> open(const test::GgufBuilder& builder,
                                        LoadOptions options = {}) {
    return ModelFile::open(folder_.write("model.gguf", builder.build()), options);
  }
  std::filesystem::path write_split(int count) {
    for (const auto& [name, bytes] : test::make_split_files(count)) folder_.write(name, bytes);
    return folder_.path() / test::split_name(1, count);
  }
  test::TempFolder folder_;
};

TEST_F(ModelFiles, SmallModel) {
  const auto model = open(test::small_model());
  EXPECT_EQ(model->format(), "GGUF v3");
  EXPECT_EQ(model->architecture(), "llama");
  ASSERT_EQ(model->tensors().size(), 4u);
  const TensorInfo& experts = model->require("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(experts.shape(), (Shape{3, 2, 64}));
  EXPECT_EQ(experts.rows(), 6);
  EXPECT_EQ(experts.row_bytes(), 36u);
  EXPECT_EQ(experts.dtype(), DType::Q4_0);
  EXPECT_EQ(model->index_of(experts), 2u);
  EXPECT_EQ(model->find("output.weight"), nullptr);
  EXPECT_THROW(model->require("output.weight"), Error);
  EXPECT_EQ(model->tensor_bytes(), 512u + 102u + 216u + 20u);
  EXPECT_TRUE(model->warnings().empty());
}

TEST_F(ModelFiles, VersionTwoAndOddAlignments) {
  EXPECT_EQ(open(test::small_model().version(2))->format(), "GGUF v2");
  for (std::uint32_t alignment : {8u, 64u, 4096u, 1u << 20}) {
    const auto model = open(test::small_model()
                                .kv_u32("general.alignment", alignment)
                                .alignment(alignment)
                                .no_final_padding());
    for (const TensorInfo& tensor : model->tensors()) EXPECT_EQ(tensor.offset % alignment, 0u);
  }
}

TEST_F(ModelFiles, DataIsWhatTheFileHolds) {
  const auto model = open(test::GgufBuilder()
                              .tensor({.name = "a", .dims = {3}, .data = "abcdefghijkl"})
                              .tensor({.name = "b", .dims = {1}, .data = "WXYZ"}));
  const auto text = [&](std::string_view name) {
    const auto bytes = model->data(model->require(name));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(text("a"), "abcdefghijkl");
  EXPECT_EQ(text("b"), "WXYZ");
}

TEST_F(ModelFiles, WithoutMmapAndWithMlock) {
  const auto mapped = open(test::small_model());
  const auto read = open(test::small_model(), {.mlock = false, .no_mmap = true});
  EXPECT_EQ(to_string(tensor_digest(*mapped)), to_string(tensor_digest(*read)));
  // Granted or refused, by the limits of this machine: never an error.
  EXPECT_LE(open(test::small_model(), {.mlock = true, .no_mmap = false})->warnings().size(), 1u);
  read->shards()[0].dont_need(0, ~std::uint64_t{0});
  mapped->shards()[0].dont_need(0, ~std::uint64_t{0});
  mapped->shards()[0].will_need(100, 5);
  EXPECT_EQ(to_string(tensor_digest(*mapped)), to_string(tensor_digest(*read)));
}

// Pages that were let go come back with the same bytes; memory of anybody else is left alone.
TEST_F(ModelFiles, AdviceChangesNoByte) {
  test::TensorSpec spec{.dims = {1 << 14}, .data = std::string(4 << 14, 'w')};
  for (bool no_mmap : {false, true}) {
    const auto model = open(test::GgufBuilder().tensor(spec), {.no_mmap = no_mmap});
    const auto data = model->data(model->tensors()[0]);
    model->will_need(data);
    model->dont_need(data);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), spec.data);
  }
  const auto model = open(test::small_model());
  const std::vector<std::byte> others(1 << 20, std::byte{7});
  model->will_need(others);
  model->dont_need(others);
  model->dont_need({});
  EXPECT_EQ(others, std::vector<std::byte>(1 << 20, std::byte{7}));
}

TEST_F(ModelFiles, KnownButNotComputed) {
  const auto model = open(test::GgufBuilder().tensor("q", {256, 2}, 17).tensor("w", {32}, 8));
  EXPECT_EQ(model->require("q").type_name(), "IQ2_XS");
  EXPECT_EQ(model->require("q").bytes, 148u);
  EXPECT_EQ(require_computable(*model, model->require("w")), DType::Q8_0);
  try {
    require_computable(*model, model->require("q"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error_class(error.code()).tag, "E-ARCH");
    EXPECT_THAT(error.what(), HasSubstr("tensor \"q\" has type IQ2_XS, which Strata does not"));
  }
}

TEST_F(ModelFiles, SplitSet) {
  const auto path = write_split(3);
  const auto model = ModelFile::open(path);
  ASSERT_EQ(model->shards().size(), 3u);
  ASSERT_EQ(model->tensors().size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const TensorInfo& tensor = model->require("t." + std::to_string(i));
    EXPECT_EQ(tensor.shard, i);
    EXPECT_EQ(model->data(tensor)[5], std::byte(static_cast<unsigned char>('a' + i)));
  }
  EXPECT_EQ(model->path(), path);
}

TEST_F(ModelFiles, SplitHintNamesTheFirstPart) {
  write_split(3);
  try {
    ModelFile::open(folder_.path() / test::split_name(2, 3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr(test::split_name(1, 3)));
  }
}

TEST_F(ModelFiles, SplitAndWholeHaveTheSameDigest) {
  const auto split = ModelFile::open(write_split(3));
  auto part = [](int i) {
    return test::TensorSpec{.name = "t." + std::to_string(i),
                            .dims = {32},
                            .data = std::string(128, static_cast<char>('a' + i))};
  };
  const auto whole = open(test::GgufBuilder().tensor(part(2)).tensor(part(0)).tensor(part(1)));
  EXPECT_EQ(tensor_digest(*split), tensor_digest(*whole));
  EXPECT_EQ(to_string(tensor_digest(*whole)).size(), 32u);
}

TEST_F(ModelFiles, DigestSeesEveryPart) {
  auto digest = [&](test::TensorSpec spec) {
    return to_string(tensor_digest(*open(test::GgufBuilder().tensor(std::move(spec)))));
  };
  const std::string data(128, 'a');
  const std::string base = digest({.name = "t", .dims = {32}, .data = data});
  EXPECT_EQ(base, digest({.name = "t", .dims = {32, 1}, .data = data}));
  EXPECT_NE(base, digest({.name = "u", .dims = {32}, .data = data}));
  EXPECT_NE(base, digest({.name = "t", .dims = {16, 2}, .data = data}));
  EXPECT_NE(base, digest({.name = "t", .dims = {32}, .type = 26, .data = data}));
  EXPECT_NE(base, digest({.name = "t", .dims = {32}, .data = std::string(127, 'a') + "b"}));
}

TEST_F(ModelFiles, DigestReportsProgress) {
  const auto model = open(test::small_model());
  std::uint64_t last = 0;
  tensor_digest(*model, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, model->tensor_bytes());
    last = done;
  });
  EXPECT_EQ(last, model->tensor_bytes());
}

TEST_F(ModelFiles, Summary) {
  const ModelSummary summary = summarize(*open(test::small_model().kv_string("general.name", "n")));
  EXPECT_EQ(summary.architecture, "llama");
  EXPECT_EQ(summary.name, "n");
  EXPECT_EQ(summary.parameters, 128u + 96u + 384u + 5u);
  ASSERT_EQ(summary.types.size(), 3u);
  EXPECT_EQ(summary.types[0].name, "F32");
  EXPECT_EQ(summary.types[0].tensors, 2u);
  EXPECT_EQ(summary.types[0].bytes, 532u);
  EXPECT_EQ(summary.types[1].name, "Q4_0");
  EXPECT_TRUE(summary.types[1].computable);
  EXPECT_NEAR(summary.bits_per_parameter, 8.0 * 850 / 613, 1e-12);
  EXPECT_EQ(summary.shards.size(), 1u);
  EXPECT_EQ(summary.shards[0].tensors, 4u);
  EXPECT_EQ(summary.file_bytes, summary.shards[0].file_bytes);
}

TEST_F(ModelFiles, SummaryOfAnEmptyFile) {
  const ModelSummary summary = summarize(*open(test::GgufBuilder()));
  EXPECT_EQ(summary.architecture, std::nullopt);
  EXPECT_EQ(summary.bits_per_parameter, 0);
  EXPECT_THROW(open(test::GgufBuilder())->architecture(), Error);
}

}  // namespace
}  // namespace strata
