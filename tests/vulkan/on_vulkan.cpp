#include "tests/vulkan/on_vulkan.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

struct Shared {
  std::shared_ptr<Instance> instance;
  bool validated = false;
  std::string why_not;
};

// Making an instance takes a tenth of a second: all tests share one.
Shared& shared() {
  // Never destroyed, as the backend's own: the drivers stay loaded, and leak reports know them.
  static Shared& made = *new Shared([] {
    Shared shared;
    // Mesa's own cache would look for the folder of a test that is over.
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
    InstanceOptions options;
    options.validation = true;
    try {
      shared.instance = std::make_shared<Instance>(options);
      shared.validated = true;
      return shared;
    } catch (const Error&) {  // the layer may not be installed
    }
    try {
      shared.instance = std::make_shared<Instance>(InstanceOptions{});
    } catch (const Error& error) {
      shared.why_not = error.detail();
    }
    return shared;
  }());
  return made;
}

}  // namespace

Variable::Variable(const char* name, const char* value) : name_(name) {
  const char* was = std::getenv(name);
  had_ = was != nullptr;
  if (had_) was_ = was;
  if (value != nullptr)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

Variable::~Variable() {
  if (had_)
    setenv(name_.c_str(), was_.c_str(), 1);
  else
    unsetenv(name_.c_str());
}

std::vector<std::byte> numbered(std::size_t bytes, unsigned seed) {
  std::vector<std::byte> numbers(bytes);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::byte& byte : numbers) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return numbers;
}

void OnVulkan::SetUp() {
  if (shared().instance == nullptr) GTEST_SKIP() << "SKIP: " << shared().why_not;
  const std::vector<PhysicalDevice> devices = examine_all(*shared().instance);
  if (devices.empty()) GTEST_SKIP() << "SKIP: the drivers find no device";
  if (!devices[0].why_not.empty())
    GTEST_SKIP() << "SKIP: " << devices[0].info.name << ": " << devices[0].why_not;
  instance_ = shared().instance;
  validated_ = shared().validated;
  folder_ = std::filesystem::path(testing::TempDir()) /
            ("strata-vulkan-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder_);
  cache_home_ = std::make_unique<Variable>("XDG_CACHE_HOME", folder_.c_str());
  device_ = open();
}

void OnVulkan::TearDown() {
  device_.reset();
  cache_home_.reset();
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
  if (instance_ != nullptr) {
    EXPECT_THAT(instance_->take_messages(), testing::IsEmpty());
  }
}

std::unique_ptr<VulkanDevice> OnVulkan::open() const {
  return std::make_unique<VulkanDevice>(
      std::make_shared<Context>(shared().instance, examine_all(*shared().instance).at(0)));
}

std::vector<std::byte> OnVulkan::bytes_of(Stream& stream, BufferSpan from) {
  std::vector<std::byte> bytes(from.bytes);
  stream.copy(span(bytes), from);
  stream.synchronize();
  return bytes;
}

}  // namespace strata::vulkan
