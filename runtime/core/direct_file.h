#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace strata {

/// What tells one state of a file from another.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  ///< since 1970
  friend constexpr bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// What `path` names now; empty when there is nothing, or it cannot be asked.
std::optional<FileIdentity> identity_of(const std::filesystem::path& path);
/// The same of an open descriptor.
std::optional<FileIdentity> identity_of(int descriptor);

/// A regular file, open to be read at offsets. Move-only; const calls are safe from several
/// threads.
class DirectFile {
 public:
  /// Offsets, sizes and addresses of reads past the page cache are multiples of this.
  static constexpr std::uint64_t kAlignment = 4096;

  /// Reads go through the page cache. Throws Error(io) with the system's words.
  static DirectFile open(const std::filesystem::path& path);
  /// Reads go past the page cache (O_DIRECT). Empty where the file system refuses that, with its
  /// words in `refusal`. Throws Error(io) when the file cannot be opened at all.
  static std::optional<DirectFile> open_direct(const std::filesystem::path& path,
                                               std::string& refusal);

  DirectFile(DirectFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectFile& operator=(DirectFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~DirectFile();

  int descriptor() const { return descriptor_; }
  /// Bytes read, fewer than asked at the end of the file or when the disk fails midway, or minus
  /// the error number.
  std::int64_t read_at(std::byte* to, std::uint64_t bytes, std::uint64_t offset) const noexcept;
  /// Lets the page cache drop the pages that lie wholly in the range. Advice only; it has no effect
  /// on pages that somebody has mapped.
  void drop_cache(std::uint64_t offset, std::uint64_t bytes) const noexcept;
  /// Asks the system to bring what is read and nothing ahead of it, in single pages. Advice only.
  void read_nothing_ahead() const noexcept;

 private:
  explicit DirectFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace strata
