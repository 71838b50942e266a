#include "runtime/core/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "runtime/core/error.h"

namespace strata {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace

std::uint64_t free_disk_bytes(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  return error ? 0 : space.available;
}

OutputFile::OutputFile(std::filesystem::path path, std::uint64_t bytes, bool replace)
    : path_(std::move(path)), part_(path_.string() + ".part") {
  check_target(bytes, replace);
  descriptor_ = open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot be created");
  // Not every file system can: a full disk is then met while writing.
  if (bytes > 0 && fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) != 0 &&
      errno == ENOSPC) {
    close(descriptor_);
    unlink(part_.c_str());
    errno = ENOSPC;
    fail("cannot be written");
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(part_.c_str());
}

void OutputFile::check_target(std::uint64_t bytes, bool replace) const {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path_, ignored);
  if (std::filesystem::exists(status)) {
    if (!std::filesystem::is_regular_file(status))
      throw Error(ErrorCode::io, path_.string(), "is not a regular file", "another file name");
    if (!replace)
      throw Error(ErrorCode::io, path_.string(), "exists already", "--force overwrites it");
  }
  const std::filesystem::path folder = folder_of(path_);
  if (!std::filesystem::is_directory(folder, ignored))
    throw Error(ErrorCode::io, path_.string(),
                "cannot be created (" + folder.string() + " is no folder)", "make the folder");
  const std::uint64_t available = free_disk_bytes(folder);
  if (available < bytes)
    throw Error(ErrorCode::io, path_.string(),
                "needs " + std::to_string(bytes) + " bytes, but the disk has " +
                    std::to_string(available) + " free",
                "a smaller file, or another disk");
}

void OutputFile::fail(const char* what) const {
  throw Error(ErrorCode::io, path_.string(), std::string(what) + " (" + std::strerror(errno) + ")");
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t count = pwrite(descriptor_, data.data(), data.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("cannot be written");
    offset += static_cast<std::uint64_t>(count);
    data = data.subspan(static_cast<std::size_t>(count));
  }
}

void OutputFile::commit() {
  if (close(std::exchange(descriptor_, -1)) != 0) {
    unlink(part_.c_str());
    fail("cannot be written");
  }
  if (std::rename(part_.c_str(), path_.c_str()) != 0) {
    unlink(part_.c_str());
    fail("cannot be named");
  }
}

}  // namespace strata
