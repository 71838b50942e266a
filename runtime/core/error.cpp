#include "runtime/core/error.h"

#include <utility>

namespace strata {

ErrorClass error_class(ErrorCode code) {
  switch (code) {
#define STRATA_ERROR(name, tag, exit_status, http_status) \
  case ErrorCode::name:                                   \
    return {tag, exit_status, http_status};
#include "runtime/core/error.def"
#undef STRATA_ERROR
  }
  return {"E-RUNTIME", 1, 500};
}

Error::Error(ErrorCode code, std::string subject, std::string detail, std::string hint)
    : code_(code),
      subject_(std::move(subject)),
      detail_(std::move(detail)),
      hint_(std::move(hint)),
      message_(subject_.empty() ? detail_ : subject_ + ": " + detail_) {}

}  // namespace strata
