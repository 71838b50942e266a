#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace strata {

/// Every class of failure, from error.def.
enum class ErrorCode : std::uint8_t {
#define STRATA_ERROR(code, tag, exit_status, http_status) code,
#include "runtime/core/error.def"
#undef STRATA_ERROR
};

/// What the table says of one class.
struct ErrorClass {
  std::string_view tag;  ///< stable name shown to users, "E-OOM"
  int exit_status;       ///< of the command line
  int http_status;       ///< of the server
};

/// The table's row for `code`. Never fails.
ErrorClass error_class(ErrorCode code);

/// The one exception type of the project. The message begins with its subject (a file, key, tensor,
/// option or device), states the numbers, and the hint says what to try; the hint may be empty.
/// Libraries throw it and never print, abort or exit. Immutable, safe to copy across threads.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string subject, std::string detail, std::string hint = {});

  ErrorCode code() const { return code_; }
  const std::string& subject() const { return subject_; }
  const std::string& detail() const { return detail_; }
  const std::string& hint() const { return hint_; }
  /// "subject: detail"
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string subject_;
  std::string detail_;
  std::string hint_;
  std::string message_;
};

}  // namespace strata
