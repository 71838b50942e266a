#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/weights/bad_files.h"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
constexpr std::uintmax_t kTib = std::uintmax_t{1} << 40;

fs::path make_socket(const TempFolder& folder) {
  const fs::path path = folder.path() / "s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("bind failed");
  return path;
}

BadFile at_path(std::string name, std::string wanted, fs::path path,
                ErrorCode code = ErrorCode::bad_model) {
  return {std::move(name), std::move(wanted),
          [path = std::move(path)](const TempFolder&) { return path; }, code};
}

std::vector<BadFile> not_regular() {
  return {
      {"directory", "is a directory, not a regular file",
       [](const TempFolder& folder) { return folder.path(); }},
      {"fifo", "is a FIFO, not a regular file",
       [](const TempFolder& folder) {
         const fs::path path = folder.path() / "fifo.gguf";
         if (::mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo failed");
         return path;
       }},
      {"socket", "is a socket, not a regular file", make_socket},
      {"link_to_directory", "is a directory",
       [](const TempFolder& folder) {
         fs::create_directory_symlink(folder.path(), folder.path() / "link");
         return folder.path() / "link";
       }},
      at_path("dev_zero", "is a character device, not a regular file", "/dev/zero"),
      at_path("dev_null", "is a character device", "/dev/null"),
      at_path("proc_self_mem", "is empty (0 bytes)", "/proc/self/mem"),
  };
}

std::vector<BadFile> not_readable() {
  std::vector<BadFile> cases = {
      at_path("missing", "cannot find: No such file", "/nonexistent/model.gguf", ErrorCode::io),
      at_path("path_empty", "cannot find: No such file", "", ErrorCode::io),
      at_path("path_of_5000", "File name too long", "/" + std::string(5000, 'x'), ErrorCode::io),
      at_path("path_with_nul", "the path holds a NUL byte", std::string("/dev/ze\0ro", 10),
              ErrorCode::io),
      {"path_through_file", "Not a directory",
       [](const TempFolder& folder) { return folder.write("file", "x") / "model.gguf"; },
       ErrorCode::io},
      {"link_dangling", "cannot find: No such file",
       [](const TempFolder& folder) {
         fs::create_symlink("nowhere", folder.path() / "link");
         return folder.path() / "link";
       },
       ErrorCode::io},
      {"link_loop", "Too many levels of symbolic links",
       [](const TempFolder& folder) {
         fs::create_symlink("b", folder.path() / "a");
         fs::create_symlink("a", folder.path() / "b");
         return folder.path() / "a";
       },
       ErrorCode::io},
  };
  // Root may read everything.
  if (::geteuid() != 0)
    cases.push_back({"no_permission", "Permission denied",
                     [](const TempFolder& folder) {
                       const fs::path path = folder.write("model.gguf", small_model().build());
                       fs::permissions(path, fs::perms::none);
                       return path;
                     },
                     ErrorCode::io});
  return cases;
}

}  // namespace

BadFile bad_sparse(std::string name, std::string wanted, std::string head,
                   std::uintmax_t file_bytes) {
  return {std::move(name), std::move(wanted),
          [head = std::move(head), file_bytes](const TempFolder& folder) {
            const fs::path path = folder.write("model.gguf", head);
            fs::resize_file(path, file_bytes);
            return path;
          }};
}

std::vector<BadFile> bad_special_files() {
  std::vector<BadFile> all = not_regular();
  for (BadFile& file : not_readable()) all.push_back(std::move(file));
  all.push_back(bad_sparse("sparse_8_tib_of_zeros", "begins with zero bytes", "", 8 * kTib));
  all.push_back(bad_sparse("sparse_8_tib_gap", "leaves a gap",
                           GgufBuilder().tensor({.offset = 4 * kTib}).build(), 8 * kTib));
  all.push_back(bad_sparse(
      "sparse_8_tib_strings", "would take",
      Bytes().raw("GGUF").u32(3).u64(0).u64(1).text("x").u32(9).u32(8).u64(60'000'000).str(),
      8 * kTib));
  return all;
}

}  // namespace strata::test
