// Shaders as RADV compiles them for AMD GPUs, without one: none keeps registers in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "backends/vulkan/shader_table.h"
#include "runtime/core/dtype.h"
#include "tests/vulkan_shaders/null_device.h"

namespace strata::vulkan {
namespace {

constexpr const char* kFamilies[] = {"navi21", "navi31"};

struct Case {
  std::string_view shader;
  std::vector<std::uint32_t> constants;
  std::string name;
  std::uint32_t subgroup = 0;
};

std::span<const std::uint32_t> code_of(std::string_view name) {
  for (const Shader& shader : shaders())
    if (shader.name == name) return shader.code;
  return {};
}

bool is_weight(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

// The constants are those of MatmulConstants (backends/vulkan/ops/matmul.h) as a GPU gets them.
std::vector<Case> matmul_cases() {
  std::vector<Case> cases;
  for (const DTypeInfo& info : kDTypes) {
    if (!is_weight(info.dtype)) continue;
    const std::uint32_t blocks = info.block_elements > 1 ? 1 : 0;
    auto add = [&](std::string_view shader, std::vector<std::uint32_t> rest, std::uint32_t gated) {
      std::vector<std::uint32_t> all{64, info.gguf_id, blocks, 1 - blocks, gated, 1};
      all.insert(all.end(), rest.begin(), rest.end());
      cases.push_back({shader, all, std::string(shader) + " " + std::string(info.name)});
    };
    add("gemv", {4, 1, 2, 0, 16}, 0);
    add("gemv", {2, 8, 2, 0, 16}, 1);
    if (blocks != 0) add("gemv_int8", {4, 1, 2, 1, 16}, 1);
    if (blocks != 0) add("gemv_int8", {2, 8, 2, 0, 16}, 0);
    add("gemm", {64, 32, 2, 1, 4}, 1);
  }
  return cases;
}

// The wide and the flat tiles of matmul_tiles.cpp, for subgroups of 32 and of 64.
std::vector<Case> tile_cases() {
  std::vector<Case> cases;
  for (const DTypeInfo& info : kDTypes) {
    if (!is_weight(info.dtype) || info.dtype == DType::F32) continue;
    const std::uint32_t blocks = info.block_elements > 1 ? 1 : 0;
    auto add = [&](std::string_view shader, bool wide, std::uint32_t gated,
                   std::uint32_t subgroup) {
      const std::uint32_t tokens = wide ? 128 : 32;
      const std::uint32_t sub_tokens = wide ? 64 : 32;
      cases.push_back({shader,
                       {tokens / sub_tokens * 4 * subgroup, info.gguf_id, blocks, 1 - blocks, gated,
                        1, 128, tokens, 32, sub_tokens, 1, 16, 16, 16, subgroup},
                       std::string(shader) + " " + std::string(info.name),
                       subgroup});
    };
    add("gemm_coopmat", true, 0, 32);
    add("gemm_coopmat", false, 0, 32);
    add("gemm_coopmat", true, 1, 64);
    add("gemm_experts_coopmat", true, 1, 32);
    add("gemm_experts_coopmat", false, 0, 64);
  }
  return cases;
}

class Registers : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string reason;
    device_ = NullDevice::open(GetParam(), reason);
    if (device_ == nullptr) GTEST_SKIP() << "SKIP: " << reason;
  }

  void expect_no_spills(const Case& c) {
    auto found = device_->statistics(code_of(c.shader), c.constants, c.subgroup);
    ASSERT_TRUE(found.contains("VGPRs")) << c.name << " was not compiled";
    EXPECT_EQ(found["Spilled VGPRs"], 0U) << c.name;
    EXPECT_EQ(found["Spilled SGPRs"], 0U) << c.name;
    EXPECT_EQ(found["Scratch size"], 0U) << c.name;
    most_ = std::max(most_, found["VGPRs"]);
  }

  std::unique_ptr<NullDevice> device_;
  std::uint64_t most_ = 0;
};

TEST_P(Registers, MatmulsNeedNoScratchMemory) {
  for (const Case& c : matmul_cases()) expect_no_spills(c);
  RecordProperty("most_vgprs", std::to_string(most_));
  EXPECT_LE(most_, 128U) << "fewer than 8 subgroups fit into a SIMD";
}

// With the constants that they are written with, and 128 lanes. What emulates is for tests alone.
TEST_P(Registers, NoShaderNeedsScratchMemory) {
  for (const Shader& shader : shaders())
    if (!shader.name.ends_with("_coopmat") && !shader.name.ends_with("_emulated"))
      expect_no_spills({shader.name, {128}, std::string(shader.name)});
}

// Needs a glslc and a RADV as new as those of Debian 13.
TEST_P(Registers, TilesOfCooperativeMatricesNeedNoScratchMemory) {
  if (!device_->has_coopmat() || code_of("gemm_coopmat").empty()) return;
  const std::vector<Case> cases = tile_cases();
  for (const Case& c : cases) expect_no_spills(c);
  std::printf("%zu pipelines of tiles for %s, at most %d VGPRs\n", cases.size(), GetParam(),
              static_cast<int>(most_));
}

INSTANTIATE_TEST_SUITE_P(Radv, Registers, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace strata::vulkan
