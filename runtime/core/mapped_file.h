#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "runtime/core/direct_file.h"
#include "runtime/core/guarded_memory.h"

namespace strata {

/// How MappedFile::open brings a file into memory.
struct MapOptions {
  bool mlock = false;    ///< pin the pages; a refusal is a warning, not an error
  bool no_mmap = false;  ///< read the whole file into memory of our own instead of mapping it
};

/// A regular file's bytes, read-only, page-aligned, for as long as the object lives. Move-only;
/// const calls are safe from several threads. Where the file shrinks while it is mapped, or the
/// disk fails, its bytes become zeros from that page on and lost_from() says so (MemoryGuard).
class MappedFile {
 public:
  /// Throws Error(io) with the system's words when the file cannot be opened or read,
  /// Error(bad_model) when it is no regular file (directory, FIFO, socket, device), and
  /// Error(out_of_memory) when memory or address space does not suffice. Never blocks on a FIFO.
  static MappedFile open(const std::filesystem::path& path, MapOptions options = {});

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  /// Which state of the file this is: size and time of change when it was opened.
  const FileIdentity& identity() const { return identity_; }
  /// Offset of the first byte that could not be had when somebody touched it; empty while all is
  /// well. From then on the bytes are worth nothing. One load: to be asked after each use.
  std::optional<std::uint64_t> lost_from() const noexcept { return guard_.lost_from(); }
  /// Throws Error(io), naming the file and the offset, when bytes were lost.
  void require_intact() const;
  /// Whether the bytes are the file's pages; false for a copy in memory of our own (no_mmap).
  bool is_mapping() const { return !dropping_loses_data_; }
  /// What was asked for and not granted (mlock), with a hint; empty when all is well.
  const std::string& warning() const { return warning_; }

  /// Starts reading the range ahead, without waiting. Advice only: never fails.
  void will_need(std::uint64_t offset, std::uint64_t count) const noexcept;
  /// Brings the range into memory and waits for it. False when the system cannot do that or the
  /// disk failed; the bytes are then read at first touch.
  bool populate(std::uint64_t offset, std::uint64_t count) const noexcept {
    return try_populate(offset, count) == 0;
  }
  /// The same with the system's error number: EFAULT where the file ends too early or the disk
  /// fails, EINVAL where the system cannot do it (Linux before 5.14).
  int try_populate(std::uint64_t offset, std::uint64_t count) const noexcept;
  /// Says that little of the range is wanted, here and there: a touch then brings a page and not,
  /// as otherwise, megabytes around it. Advice only.
  void expect_random(std::uint64_t offset, std::uint64_t count) const noexcept;
  /// Lets the system drop the range's pages; they are read again at the next touch. No effect on a
  /// file that was read with no_mmap or pinned.
  void dont_need(std::uint64_t offset, std::uint64_t count) const noexcept;

 private:
  MappedFile() = default;
  void map(int descriptor);
  void read_all(int descriptor);
  void pin();

  std::filesystem::path path_;
  std::string warning_;
  FileIdentity identity_;
  MemoryGuard guard_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool dropping_loses_data_ = false;  // anonymous memory: MADV_DONTNEED would zero it
};

}  // namespace strata
