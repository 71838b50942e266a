#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace strata {

/// Bytes that can be had on the file system of `folder`; 0 when it cannot be asked.
std::uint64_t free_disk_bytes(const std::filesystem::path& folder);

/// A large file in the making. It is written beside its place as "NAME.part" and takes its name
/// only when it is whole: commit() does that, and without it the destructor removes what there is.
class OutputFile {
 public:
  /// Takes the room for `bytes` at once, where the file system can. Throws Error(io) when the file
  /// exists (unless `replace`) or is none (a folder, a device), when the disk has not got the room,
  /// or when the system refuses.
  OutputFile(std::filesystem::path path, std::uint64_t bytes, bool replace);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Writes all of `data` at `offset`. Safe from several threads. Throws Error(io).
  void write_at(std::uint64_t offset, std::span<const std::byte> data);
  /// Gives the file its name. Throws Error(io).
  void commit();

 private:
  void check_target(std::uint64_t bytes, bool replace) const;
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  std::filesystem::path part_;
  int descriptor_ = -1;
};

}  // namespace strata
