#include "backends/vulkan/cache_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace strata::vulkan {
namespace {

namespace fs = std::filesystem;

// Before the driver's data: a driver checks its own header and trusts the rest.
struct FileHeader {
  char magic[8];
  std::uint64_t bytes;
  std::uint64_t hash;
};
constexpr char kMagic[8] = {'S', 'T', 'R', 'V', 'K', 'P', 'C', '1'};
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

// FNV-1a (Fowler, Noll, Vo): finds damage, not intent.
std::uint64_t hash_of(std::span<const std::byte> data) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : data) {
    hash ^= static_cast<std::uint64_t>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

std::string uuid_text(const std::uint8_t (&uuid)[VK_UUID_SIZE]) {
  std::string text;
  for (const std::uint8_t byte : uuid) text += fmt::format("{:02x}", byte);
  return text;
}

bool is_for(std::span<const std::byte> data, const VkPhysicalDeviceProperties& device) {
  VkPipelineCacheHeaderVersionOne header{};
  if (data.size() < sizeof(header)) return false;
  std::memcpy(&header, data.data(), sizeof(header));
  return header.headerSize >= sizeof(header) && header.headerSize <= data.size() &&
         header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
         header.vendorID == device.vendorID && header.deviceID == device.deviceID &&
         std::memcmp(header.pipelineCacheUUID, device.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

}  // namespace

std::optional<std::string> cache_path(const PhysicalDevice& device) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  // The XDG base directory specification has relative paths ignored.
  if (cache != nullptr && *cache == '/')
    folder = cache;
  else if (home != nullptr && *home == '/')
    folder = fs::path(home) / ".cache";
  else
    return std::nullopt;
  const VkPhysicalDeviceProperties& p = device.properties;
  return (folder / "strata" /
          fmt::format("vulkan-{:x}-{:x}-{:x}-{}.pipelines", p.vendorID, p.deviceID, p.driverVersion,
                      uuid_text(p.pipelineCacheUUID)))
      .string();
}

std::vector<std::byte> read_cache(const std::string& path, const PhysicalDevice& device) {
  std::ifstream file(path, std::ios::binary);
  FileHeader header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof(header))) return {};
  std::error_code failed;
  const std::uint64_t size = fs::file_size(path, failed);
  if (failed || std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 ||
      header.bytes > kMostBytes || header.bytes + sizeof(header) != size)
    return {};
  std::vector<std::byte> data(header.bytes);
  file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  if (!file || hash_of(data) != header.hash || !is_for(data, device.properties)) return {};
  return data;
}

bool write_cache(const std::string& path, std::span<const std::byte> data) {
  std::error_code failed;
  fs::create_directories(fs::path(path).parent_path(), failed);
  if (failed) return false;
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.bytes = data.size();
  header.hash = hash_of(data);
  const std::string part = fmt::format("{}.{}", path, getpid());
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&header), sizeof(header));
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  file.close();
  const bool written = !file.fail();
  if (written) fs::rename(part, path, failed);
  if (written && !failed) return true;
  fs::remove(part, failed);
  return false;
}

}  // namespace strata::vulkan
