#include "runtime/core/direct_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <system_error>

#include "runtime/core/error.h"

namespace strata {
namespace {

std::string system_text(int error) { return std::system_category().message(error); }

FileIdentity identity_from(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

int open_for_reading(const std::filesystem::path& path, int more_flags) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more_flags);
}

[[noreturn]] void fail_to_open(const std::filesystem::path& path, int error) {
  throw Error(ErrorCode::io, path.string(), fmt::format("cannot open: {}", system_text(error)),
              "the file was there when the model was opened: see whether it still is");
}

struct FreeAligned {
  void operator()(std::byte* block) const {
    ::operator delete[](block, std::align_val_t{DirectFile::kAlignment});
  }
};

}  // namespace

std::optional<FileIdentity> identity_of(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return identity_from(status);
}

std::optional<FileIdentity> identity_of(int descriptor) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return std::nullopt;
  return identity_from(status);
}

DirectFile DirectFile::open(const std::filesystem::path& path) {
  const int descriptor = open_for_reading(path, 0);
  if (descriptor < 0) fail_to_open(path, errno);
  return DirectFile(descriptor);
}

std::optional<DirectFile> DirectFile::open_direct(const std::filesystem::path& path,
                                                  std::string& refusal) {
  const int descriptor = open_for_reading(path, O_DIRECT);
  if (descriptor < 0 && errno != EINVAL && errno != EOPNOTSUPP) fail_to_open(path, errno);
  if (descriptor < 0) {
    refusal = system_text(errno);
    return std::nullopt;
  }
  DirectFile file(descriptor);
  // Some file systems open the file and refuse the reads; some want more than 4 KiB of alignment.
  const std::unique_ptr<std::byte[], FreeAligned> block(
      static_cast<std::byte*>(::operator new[](kAlignment, std::align_val_t{kAlignment})));
  const std::int64_t got = file.read_at(block.get(), kAlignment, 0);
  if (got >= 0) return file;
  refusal = system_text(static_cast<int>(-got));
  return std::nullopt;
}

DirectFile::~DirectFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::int64_t DirectFile::read_at(std::byte* to, std::uint64_t bytes,
                                 std::uint64_t offset) const noexcept {
  for (;;) {
    const ssize_t got = ::pread(descriptor_, to, bytes, static_cast<off_t>(offset));
    if (got >= 0) return got;
    if (errno != EINTR) return -errno;
  }
}

void DirectFile::drop_cache(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes),
                  POSIX_FADV_DONTNEED);
}

void DirectFile::read_nothing_ahead() const noexcept {
  ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_RANDOM);
}

}  // namespace strata
