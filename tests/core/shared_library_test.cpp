#include "runtime/core/shared_library.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace strata::test {
namespace {

TEST(SharedLibrary, FindsAFunctionAndNotAnother) {
  const SharedLibrary math("libm.so.6");
  ASSERT_TRUE(math.loaded()) << math.why();
  EXPECT_EQ(math.why(), "");
  auto* const cosine = math.function<double(double)>("cos");
  ASSERT_NE(cosine, nullptr);
  EXPECT_EQ(cosine(0.0), 1.0);
  EXPECT_EQ(math.symbol("no_such_function_in_libm"), nullptr);
}

TEST(SharedLibrary, SaysWhyALibraryIsMissing) {
  const SharedLibrary none("libstrata-no-such-library.so.1");
  EXPECT_FALSE(none.loaded());
  EXPECT_NE(none.why().find("libstrata-no-such-library.so.1"), std::string::npos) << none.why();
  EXPECT_EQ(none.symbol("cos"), nullptr);
}

TEST(SharedLibrary, KnowsTheFolderOfTheProgram) {
  EXPECT_TRUE(std::filesystem::exists(program_folder() + "/core_test")) << program_folder();
}

}  // namespace
}  // namespace strata::test
