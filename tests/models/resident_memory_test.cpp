// Loaded weights are in memory once: what is packed or copied leaves the mapping.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "runtime/weights/stored_type.h"
#include "tests/support/loaded_model.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

// Shadow memory of a sanitizer counts as the process's own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kShadowed = true;
#else
constexpr bool kShadowed = false;
#endif

// The number after `key` in lines of "key  value kB", in bytes.
std::uint64_t kilobytes_after(std::istream& in, const std::string& key) {
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    return std::stoull(line.substr(key.size())) * 1024;
  }
  return 0;
}

std::uint64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  return kilobytes_after(status, key);
}

// Bytes of the file's mapping that are in this process now.
std::uint64_t mapped_and_resident(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  std::uint64_t bytes = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with(path.string())) bytes += kilobytes_after(maps, "Rss:");
  return bytes;
}

// Lists tensors one after the other without their bytes, which are zeros in a sparse file.
class SparseModel {
 public:
  explicit SparseModel(std::uint32_t type) : type_(type) {
    const std::uint64_t dim = 1024, ffn = 4096, kv = 256, vocabulary = 40000;
    builder_.kv_string("general.architecture", "llama");
    u32("block_count", kLayers).u32("context_length", 64).u32("embedding_length", dim);
    u32("feed_forward_length", ffn).u32("attention.head_count", 16);
    u32("attention.head_count_kv", 4);
    builder_.kv_number("llama.attention.layer_norm_rms_epsilon", ValueType::f32, 1e-5F);
    matrix("token_embd.weight", {dim, vocabulary}).norm("output_norm.weight", dim);
    matrix("output.weight", {dim, vocabulary});
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      const std::string blk = "blk." + std::to_string(layer) + ".";
      norm(blk + "attn_norm.weight", dim).norm(blk + "ffn_norm.weight", dim);
      matrix(blk + "attn_q.weight", {dim, dim}).matrix(blk + "attn_output.weight", {dim, dim});
      matrix(blk + "attn_k.weight", {dim, kv}).matrix(blk + "attn_v.weight", {dim, kv});
      matrix(blk + "ffn_gate.weight", {dim, ffn}).matrix(blk + "ffn_up.weight", {dim, ffn});
      matrix(blk + "ffn_down.weight", {ffn, dim});
    }
  }

  void write(const std::filesystem::path& path) const {
    const std::string header = builder_.build();
    std::ofstream(path, std::ios::binary) << header;
    std::filesystem::resize_file(path, header.size() + end_);
  }

 private:
  static constexpr std::uint32_t kLayers = 8;

  SparseModel& u32(std::string_view suffix, std::uint64_t value) {
    builder_.kv_u32("llama." + std::string(suffix), static_cast<std::uint32_t>(value));
    return *this;
  }
  SparseModel& add(const std::string& name, std::vector<std::uint64_t> dims, std::uint32_t type) {
    const StoredType* stored = find_stored_type(type);
    std::uint64_t blocks = dims[0] / static_cast<std::uint64_t>(stored->block_elements);
    for (std::size_t i = 1; i < dims.size(); ++i) blocks *= dims[i];
    builder_.tensor({.name = name, .dims = std::move(dims), .type = type, .offset = end_});
    end_ += (blocks * stored->block_bytes + 31) / 32 * 32;
    return *this;
  }
  SparseModel& matrix(const std::string& name, std::vector<std::uint64_t> dims) {
    return add(name, std::move(dims), type_);
  }
  SparseModel& norm(const std::string& name, std::uint64_t dim) { return add(name, {dim}, 0); }

  GgufBuilder builder_;
  std::uint32_t type_;
  std::uint64_t end_ = 0;
};

class ResidentMemory : public testing::TestWithParam<DType> {};

TEST_P(ResidentMemory, IsTheFilesSizeAndNeverTwice) {
  const TempFolder folder;
  const std::filesystem::path path = folder.path() / "model.gguf";
  SparseModel(dtype_info(GetParam()).gguf_id).write(path);
  const std::uint64_t file = std::filesystem::file_size(path);
  ASSERT_GT(file, std::uint64_t{150} << 20);

  const auto device = open_device("cpu", {2});
  const auto model = Model::load(ModelFile::open(path));
  RunnerOptions options = test_options(DType::F16, 8);
  options.context = 64;
  std::ofstream("/proc/self/clear_refs")
      << 5;  // the peak is counted from here, where that is allowed
  const std::uint64_t before = status_bytes("VmHWM:");
  std::uint64_t most_mapped = 0;
  std::uint64_t calls = 0;
  const Runner runner(model, *device, options, [&](std::uint64_t, std::uint64_t) {
    most_mapped = std::max(most_mapped, mapped_and_resident(path));
    ++calls;
  });
  const std::uint64_t peak = status_bytes("VmHWM:") - before;

  const MemoryPlan plan = runner.memory();
  const std::uint64_t compute = plan.kv + plan.compute;
  // The table of a lookup stays in the mapping, of which a step reads a few rows.
  EXPECT_LE(device->memory().ours, file + compute);
  EXPECT_GE(plan.weights_packed, file * 7 / 10);
  EXPECT_GT(calls, 5u) << "in pieces";
  EXPECT_LE(most_mapped, file / 50) << "pages of pieces that were done";
  if (!kShadowed) {
    EXPECT_LE(peak, file * 115 / 100 + compute);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ResidentMemory, testing::Values(DType::Q8_0, DType::F16),
                         [](const auto& tested) {
                           return std::string(dtype_info(tested.param).name);
                         });

}  // namespace
}  // namespace strata::test
