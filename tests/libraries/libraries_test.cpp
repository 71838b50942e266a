#include "backends/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/vendor_libraries.h"

namespace strata::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> names_of(BackendKind backend) {
  std::vector<std::string> names;
  for (const LibraryStatus& library : library_statuses(backend)) names.push_back(library.name);
  return names;
}

TEST(Libraries, EachBackendHasItsOwn) {
  EXPECT_THAT(names_of(BackendKind::cuda), ElementsAre("cuBLASLt", "NCCL", "NVML"));
  EXPECT_THAT(names_of(BackendKind::hip), ElementsAre("hipBLASLt", "rocBLAS", "hipBLAS", "RCCL"));
  EXPECT_THAT(names_of(BackendKind::cpu), IsEmpty());
}

// Whatever this machine has: a library is there, or it is said what is missing and how to get it.
TEST(Libraries, AreFoundOrExplained) {
  for (const BackendKind backend : {BackendKind::cuda, BackendKind::hip})
    for (const LibraryStatus& library : library_statuses(backend)) {
      SCOPED_TRACE(library.name);
      EXPECT_EQ(library.found, library.why_not.empty()) << library.why_not;
      EXPECT_EQ(library.found, !library.version.empty()) << library.version;
      EXPECT_NE(library.purpose, "");
      EXPECT_NE(library.hint, "");
      if (!library.found) {
        EXPECT_THAT(library.why_not, HasSubstr(".so"));
      }
    }
}

TEST(Libraries, TheFirstNameThatLoadsIsTaken) {
  const char* const names[] = {"libstrata-none.so.2", "libm.so.6", "libstrata-none.so.1"};
  EXPECT_NE(open_first(names).symbol("cos"), nullptr);
  const char* const none[] = {"libstrata-none.so.2", "libstrata-none.so.1"};
  EXPECT_THAT(open_first(none).why(), HasSubstr("libstrata-none.so.2"));
}

}  // namespace
}  // namespace strata::test
