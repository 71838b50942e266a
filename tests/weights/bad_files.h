#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {

/// One line of the catalogue of broken model files.
struct BadFile {
  std::string name;    ///< of the test
  std::string wanted;  ///< what the message must say: the subject and the numbers
  /// Writes the file (or files) into the folder and returns the path to open.
  std::function<std::filesystem::path(const TempFolder&)> make;
  ErrorCode code = ErrorCode::bad_model;
};

/// How GoogleTest prints a case.
inline void PrintTo(const BadFile& file, std::ostream* out) { *out << file.name; }

/// A file "model.gguf" with these bytes.
inline BadFile bad_bytes(std::string name, std::string wanted, std::string bytes) {
  return {std::move(name), std::move(wanted), [bytes = std::move(bytes)](const TempFolder& folder) {
            return folder.write("model.gguf", bytes);
          }};
}
inline BadFile bad_model(std::string name, std::string wanted, const GgufBuilder& builder) {
  return bad_bytes(std::move(name), std::move(wanted), builder.build());
}
/// `head`, then a hole up to `file_bytes`: takes no room on the disk.
BadFile bad_sparse(std::string name, std::string wanted, std::string head,
                   std::uintmax_t file_bytes);

std::vector<BadFile> bad_headers();
std::vector<BadFile> bad_key_values();
std::vector<BadFile> bad_tensors();
std::vector<BadFile> bad_split_sets();
std::vector<BadFile> bad_special_files();

}  // namespace strata::test
