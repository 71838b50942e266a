#include "runtime/core/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "runtime/core/error.h"

namespace strata {
namespace {

// Linux brings at most the device's read-ahead (read_ahead_kb, often 128 KiB) for one advice, and
// forgets the rest of it.
constexpr std::size_t kAdviceBytes = std::size_t{128} << 10;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string system_text(int error) { return std::system_category().message(error); }

[[noreturn]] void fail_io(const std::filesystem::path& path, std::string_view action, int error) {
  const char* hint = "";
  if (error == ENOENT) hint = "check the spelling of the path";
  if (error == EACCES) hint = "check the permissions of the file and of its folders";
  if (error == ELOOP) hint = "the symbolic links lead round in a circle; name the real file";
  throw Error(ErrorCode::io, path.string(),
              fmt::format("cannot {}: {}", action, system_text(error)), hint);
}

/// The path up to its first NUL byte.
std::string printable_start(const std::filesystem::path& path) { return {path.c_str()}; }

void require_regular(const std::filesystem::path& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return;
  const char* kind = "something else";
  if (S_ISDIR(status.st_mode)) kind = "a directory";
  if (S_ISFIFO(status.st_mode)) kind = "a FIFO";
  if (S_ISSOCK(status.st_mode)) kind = "a socket";
  if (S_ISCHR(status.st_mode)) kind = "a character device";
  if (S_ISBLK(status.st_mode)) kind = "a block device";
  throw Error(ErrorCode::bad_model, path.string(), fmt::format("is {}, not a regular file", kind),
              "name a model file");
}

/// Bytes of memory in this machine, or empty when the system does not say.
std::optional<std::uint64_t> physical_memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

struct PageRange {
  void* begin;
  std::size_t bytes;
};

/// The whole pages that hold (`inside` = false) or lie wholly within (`inside` = true) a range.
std::optional<PageRange> pages_of(std::span<const std::byte> file, std::uint64_t offset,
                                  std::uint64_t count, bool inside) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (offset >= file.size() || count == 0) return std::nullopt;
  std::uint64_t end = offset + std::min<std::uint64_t>(count, file.size() - offset);
  std::uint64_t begin = offset / page * page;
  if (inside) {
    begin = (offset + page - 1) / page * page;
    if (end != file.size()) end = end / page * page;
    if (begin >= end) return std::nullopt;
  }
  return PageRange{const_cast<std::byte*>(file.data() + begin),
                   static_cast<std::size_t>(end - begin)};
}

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path, MapOptions options) {
  if (path.native().find('\0') != std::string::npos)
    throw Error(ErrorCode::io, printable_start(path), "the path holds a NUL byte");
  struct stat status{};
  // Asked before opening, since opening a device can already have an effect.
  if (::stat(path.c_str(), &status) != 0) fail_io(path, "find", errno);
  require_regular(path, status);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) fail_io(path, "open", errno);
  // Asked again of what was really opened: the name may have changed hands.
  if (::fstat(file.get(), &status) != 0) fail_io(path, "inspect", errno);
  require_regular(path, status);

  MappedFile result;
  result.path_ = path;
  result.size_ = static_cast<std::size_t>(status.st_size);
  result.identity_ = identity_of(file.get()).value_or(FileIdentity{});
  if (result.size_ == 0) return result;
  if (options.no_mmap)
    result.read_all(file.get());
  else
    result.map(file.get());
  if (options.mlock) result.pin();
  return result;
}

void MappedFile::map(int descriptor) {
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) {
    const int error = errno;
    if (error != ENOMEM) fail_io(path_, "map", error);
    throw Error(ErrorCode::out_of_memory, path_.string(),
                fmt::format("cannot map its {} bytes: {}", size_, system_text(error)),
                "raise the address-space limit (ulimit -v)");
  }
  data_ = static_cast<const std::byte*>(address);
  guard_ = MemoryGuard(bytes());
}

void MappedFile::require_intact() const {
  const auto offset = lost_from();
  if (!offset) return;
  throw Error(ErrorCode::io, path_.string(),
              fmt::format("its bytes from {} of {} on could not be read while in use: it was cut "
                          "short, or the disk fails",
                          *offset, size_),
              "put the whole file back and start again; the system's log names a failing disk");
}

void MappedFile::read_all(int descriptor) {
  const auto memory = physical_memory_bytes();
  if (memory && size_ > *memory)
    throw Error(
        ErrorCode::out_of_memory, path_.string(),
        fmt::format("has {} bytes, and this machine has {} bytes of memory", size_, *memory),
        "leave out --no-mmap");
  void* address =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    throw Error(ErrorCode::out_of_memory, path_.string(),
                fmt::format("cannot get {} bytes to read it into: {}", size_, system_text(errno)),
                "leave out --no-mmap");
  data_ = static_cast<const std::byte*>(address);
  dropping_loses_data_ = true;
  auto* out = static_cast<std::byte*>(address);
  std::size_t done = 0;
  while (done < size_) {
    const ssize_t got =
        ::read(descriptor, out + done, std::min<std::size_t>(size_ - done, 1 << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path_, "read", errno);
    if (got == 0)
      throw Error(ErrorCode::io, path_.string(),
                  fmt::format("shrank while it was read: {} of {} bytes came", done, size_));
    done += static_cast<std::size_t>(got);
  }
}

void MappedFile::pin() {
  if (::mlock(data_, size_) == 0) return;
  warning_ = fmt::format("{}: cannot lock its {} bytes in memory: {}; raise the limit (ulimit -l)",
                         path_.string(), size_, system_text(errno));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      warning_(std::move(other.warning_)),
      identity_(other.identity_),
      guard_(std::move(other.guard_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      dropping_loses_data_(other.dropping_loses_data_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(warning_, other.warning_);
  std::swap(identity_, other.identity_);
  std::swap(guard_, other.guard_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(dropping_loses_data_, other.dropping_loses_data_);
  return *this;
}

MappedFile::~MappedFile() {
  guard_ = MemoryGuard();  // others may be mapped here next
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::will_need(std::uint64_t offset, std::uint64_t count) const noexcept {
  const auto range = pages_of(bytes(), offset, count, false);
  if (!range) return;
  auto* begin = static_cast<std::byte*>(range->begin);
  for (std::size_t at = 0; at < range->bytes; at += kAdviceBytes)
    ::madvise(begin + at, std::min(kAdviceBytes, range->bytes - at), MADV_WILLNEED);
}

int MappedFile::try_populate(std::uint64_t offset, std::uint64_t count) const noexcept {
  const auto range = pages_of(bytes(), offset, count, false);
  if (!range) return 0;
#ifdef MADV_POPULATE_READ
  return ::madvise(range->begin, range->bytes, MADV_POPULATE_READ) == 0 ? 0 : errno;
#else
  return EINVAL;
#endif
}

void MappedFile::expect_random(std::uint64_t offset, std::uint64_t count) const noexcept {
  if (const auto range = pages_of(bytes(), offset, count, false))
    ::madvise(range->begin, range->bytes, MADV_RANDOM);
}

void MappedFile::dont_need(std::uint64_t offset, std::uint64_t count) const noexcept {
  if (dropping_loses_data_) return;
  if (const auto range = pages_of(bytes(), offset, count, true))
    ::madvise(range->begin, range->bytes, MADV_DONTNEED);
}

}  // namespace strata
