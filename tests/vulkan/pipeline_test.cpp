#include <gmock/gmock.h>

#include <fstream>

#include "backends/vulkan/cache_file.h"
#include "backends/vulkan/shader_table.h"
#include "runtime/core/error.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class VulkanPipelines : public OnVulkan {
 protected:
  // What a device that compiled something leaves on disk.
  std::string leave_cache() {
    const auto path = cache_path(device_->context().physical());
    const std::uint32_t threads = 64;
    device_->pipeline("add", {&threads, 1});
    device_ = open();
    return path.value();
  }
  std::vector<std::byte> read(const std::string& path) const {
    return read_cache(path, device_->context().physical());
  }
};

TEST_F(VulkanPipelines, AreMadeOnceForTheirConstants) {
  const std::uint32_t small = 32;
  const std::uint32_t large = 64;
  const VkPipeline first = device_->pipeline("add", {&small, 1});
  EXPECT_NE(first, device_->pipeline("add", {&large, 1}));
  EXPECT_EQ(first, device_->pipeline("add", {&small, 1}));
  EXPECT_THROW(device_->pipeline("no_such_shader", {&small, 1}), Error);
  const std::uint32_t huge = device_->limits().max_invocations + 1;
  EXPECT_THROW(device_->pipeline("add", {&huge, 1}), std::logic_error);
  EXPECT_THROW(device_->pipeline("add", {&small, 1}, 1U << 20), std::logic_error);
}

TEST_F(VulkanPipelines, EveryShaderCompilesOnTheDevice) {
  EXPECT_TRUE(has_shader("add"));
  for (const Shader& shader : shaders()) {
    SCOPED_TRACE(shader.name);
    ASSERT_FALSE(shader.code.empty());
    EXPECT_EQ(shader.code[0], 0x07230203U);
  }
}

TEST_F(VulkanPipelines, AreKeptOnDisk) {
  const std::string path = leave_cache();
  EXPECT_THAT(path, HasSubstr(folder_.string() + "/strata/vulkan-"));
  EXPECT_GE(read(path).size(), sizeof(VkPipelineCacheHeaderVersionOne));
  leave_cache();  // with what the file has
  EXPECT_GE(read(path).size(), sizeof(VkPipelineCacheHeaderVersionOne));
}

TEST_F(VulkanPipelines, DamagedAndForeignCachesAreIgnored) {
  const std::string path = leave_cache();
  std::ifstream in(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  const auto write = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  };
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write(bad);
    ASSERT_THAT(read(path), IsEmpty()) << "byte " << at;
  }
  for (const std::string& bad :
       {std::string(), good.substr(0, 10), good.substr(0, good.size() - 1), good + "x"}) {
    write(bad);
    EXPECT_THAT(read(path), IsEmpty());
  }
  leave_cache();  // devices open in spite of it, and mend it
  EXPECT_GE(read(path).size(), sizeof(VkPipelineCacheHeaderVersionOne));
  std::vector<std::byte> foreign = read(path);
  foreign[sizeof(std::uint32_t) * 2] ^= std::byte{1};  // the vendor
  ASSERT_TRUE(write_cache(path, foreign));
  EXPECT_THAT(read(path), IsEmpty());
}

TEST_F(VulkanPipelines, AHomeThatCannotBeWrittenIsFine) {
  const Variable cache("XDG_CACHE_HOME", "/proc/nowhere");
  leave_cache();
  const Variable none("XDG_CACHE_HOME", nullptr);
  const Variable home("HOME", nullptr);
  EXPECT_FALSE(cache_path(device_->context().physical()));
  const std::uint32_t threads = 64;
  EXPECT_NE(device_->pipeline("add", {&threads, 1}), VkPipeline{VK_NULL_HANDLE});
}

}  // namespace
}  // namespace strata::vulkan
