#include "runtime/core/error.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace strata {
namespace {

TEST(Error, MessageBeginsWithItsSubject) {
  const Error error(ErrorCode::bad_model, "model.gguf", "is empty", "download it again");
  EXPECT_STREQ(error.what(), "model.gguf: is empty");
  EXPECT_EQ(error.subject(), "model.gguf");
  EXPECT_EQ(error.detail(), "is empty");
  EXPECT_EQ(error.hint(), "download it again");
  EXPECT_STREQ(Error(ErrorCode::runtime, "", "no subject").what(), "no subject");
}

TEST(Error, TravelsAsAnException) {
  try {
    throw Error(ErrorCode::usage, "-n", "wants a number");
  } catch (const std::exception& caught) {
    EXPECT_STREQ(caught.what(), "-n: wants a number");
  }
}

TEST(Error, TableHasExitAndHttpStatusForEveryClass) {
  std::set<std::string_view> tags;
  std::size_t count = 0;
  auto check = [&](ErrorCode code, std::string_view tag, int exit_status, int http_status) {
    SCOPED_TRACE(std::string(tag));
    EXPECT_EQ(error_class(code).tag, tag);
    EXPECT_EQ(error_class(code).exit_status, exit_status);
    EXPECT_EQ(error_class(code).http_status, http_status);
    EXPECT_EQ(tag.substr(0, 2), "E-");
    EXPECT_TRUE(exit_status >= 1 && exit_status <= 7);
    EXPECT_TRUE(http_status >= 400 && http_status < 600);
    tags.insert(tag);
    ++count;
  };
#define STRATA_ERROR(name, label, exit_code, http_code) \
  check(ErrorCode::name, label, exit_code, http_code);
#include "runtime/core/error.def"
#undef STRATA_ERROR
  EXPECT_EQ(tags.size(), count);
  EXPECT_EQ(error_class(ErrorCode::bad_model).exit_status, 3);
  EXPECT_EQ(error_class(ErrorCode::out_of_memory).exit_status, 4);
}

}  // namespace
}  // namespace strata
