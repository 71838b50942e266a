// Hugging Face directories whose experts lie in two tensors a layer, as transformers 5 stores them:
// the numbers of the same weights with a tensor for each expert, from the bytes where they lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/models/tiny_hf.h"
#include "tests/support/loaded_model.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

const std::vector<text::TokenId> kPrompt = {1, 7, 3, 3, 9, 0, 2, 8, 5, 4, 6, 1};

class FusedExperts : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path written(const TinyHf& tiny, std::size_t shards = 1) const {
    tiny.write(folder_.path(), shards);
    return folder_.path();
  }
  std::shared_ptr<const Model> model(const TinyHf& tiny, std::size_t shards = 1) const {
    return Model::load(ModelFile::open(written(tiny, shards)));
  }
  std::vector<float> logits(const TinyHf& tiny, std::int64_t slots = 0, bool pack = true,
                            const char* device = "cpu") const {
    RunnerOptions options = test_options(DType::F32, 16);
    options.programs.pack_weights = pack;
    options.expert_slots = slots;
    return all_logits(*load_model(written(tiny, 2), options, 1, device).runner, kPrompt);
  }
  void expect_error(const TinyHf& tiny, ErrorCode code, const std::string& text) const {
    try {
      (void)model(tiny);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }

  TempFolder folder_;
};

TEST_P(FusedExperts, SameBitsAsOneByOne) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    SCOPED_TRACE(dtype);
    const TinyHf each(GetParam(), dtype);
    TinyHf fused(GetParam(), dtype);
    fused.fuse_experts();
    ASSERT_LT(fused.tensors.size(), each.tensors.size());
    for (const bool pack : {true, false}) EXPECT_EQ(logits(fused, 0, pack), logits(each, 0, pack));
  }
}

// In slots too, whether the device has memory of its own or not.
TEST_P(FusedExperts, ComeOneByOneAsWell) {
  const TinyHf each(GetParam(), "BF16");
  TinyHf fused(GetParam(), "BF16");
  fused.fuse_experts();
  const std::vector<float> want = logits(each);
  for (const char* device : {"cpu", "sim:0"})
    for (const std::int64_t slots : {1, 2, 8})
      EXPECT_EQ(logits(fused, slots, true, device), want) << device << ' ' << slots;
}

TEST_P(FusedExperts, LieInPlace) {
  TinyHf fused(GetParam(), "BF16");
  fused.fuse_experts();
  const auto loaded = model(fused);
  EXPECT_TRUE(loaded->warnings().empty());
  const ModelFile& file = loaded->file();
  const std::byte* const both =
      file.data(file.require("model.layers.1.mlp.experts.gate_up_proj")).data();
  const auto gate = loaded->weight(1, "ffn_gate_exps.weight");
  const auto up = loaded->weight(1, "ffn_up_exps.weight");
  const auto down = loaded->weight(1, "ffn_down_exps.weight");
  ASSERT_TRUE(gate && up && down);
  const TensorDesc want{DType::BF16, Layout::rows, {4, 16, 32}};
  EXPECT_EQ(gate->desc, want);
  EXPECT_EQ(up->desc, want);
  EXPECT_EQ(down->desc, (TensorDesc{DType::BF16, Layout::rows, {4, 32, 16}}));
  constexpr std::size_t kBytes = 16 * 32 * 2;
  for (std::size_t e = 0; e < 4; ++e) {
    EXPECT_EQ(gate->matrices[e].data(), both + 2 * e * kBytes);
    EXPECT_EQ(up->matrices[e].data(), both + (2 * e + 1) * kBytes);
    EXPECT_EQ(up->matrices[e].size(), kBytes);
  }
  EXPECT_EQ(down->data.data(),
            file.data(file.require("model.layers.1.mlp.experts.down_proj")).data());
}

TEST_P(FusedExperts, WhatIsNotInTheirOrderIsRefused) {
  TinyHf transposed(GetParam());
  transposed.fuse_experts(true);
  // Gate with up is square here.
  expect_error(
      transposed, ErrorCode::unsupported_model,
      "mlp.experts.down_proj\" has shape (4, 16, 32): its experts' matrices are transposed");
  TinyHf short_one(GetParam());
  short_one.fuse_experts();
  TinyHf::Tensor& tensor = short_one.tensors["model.layers.0.mlp.experts.gate_up_proj"];
  tensor.shape = {3, 32, 32};
  tensor.data.resize(tensor.data.size() / 4 * 3);
  expect_error(short_one, ErrorCode::bad_model, "gate_up_proj\" has shape");
  TinyHf missing(GetParam());
  missing.fuse_experts();
  missing.tensors.erase("model.layers.1.mlp.experts.down_proj");
  expect_error(missing, ErrorCode::bad_model, "is missing");
}

INSTANTIATE_TEST_SUITE_P(Architectures, FusedExperts, testing::Values("mixtral", "qwen3moe"));

}  // namespace
}  // namespace strata::test
