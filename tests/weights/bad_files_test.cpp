// The catalogue of broken model files: each gives a typed error that names its subject, within a
// second and within the memory budget.
#include "tests/weights/bad_files.h"

#include <gtest/gtest.h>

#include <set>

#include "runtime/weights/memory_budget.h"
#include "runtime/weights/model_file.h"
#include "tests/support/allocation_counter.h"
#include "tests/weights/cpu_clock.h"

namespace strata {
namespace {

using test::BadFile;

std::vector<BadFile> catalogue() {
  std::vector<BadFile> all;
  for (auto* part : {test::bad_headers, test::bad_key_values, test::bad_tensors,
                     test::bad_split_sets, test::bad_special_files})
    for (BadFile& file : part()) all.push_back(std::move(file));
  return all;
}

class BadFiles : public testing::TestWithParam<BadFile> {};

TEST_P(BadFiles, TypedErrorInTimeAndMemory) {
  const test::TempFolder folder;
  const auto path = GetParam().make(folder);
  const test::AllocationPeak peak;
  const double start = test::cpu_seconds();
  try {
    ModelFile::open(path);
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_LT(test::cpu_seconds() - start, test::kHostileSeconds);
    EXPECT_LE(peak.bytes(), kParserBudgetBytes);
    EXPECT_EQ(error_class(error.code()).tag, error_class(GetParam().code).tag) << error.what();
    EXPECT_NE(std::string(error.what()).find(GetParam().wanted), std::string::npos)
        << "wanted: " << GetParam().wanted << "\n   got: " << error.what();
    EXPECT_EQ(error.subject().empty(), path.empty());
    EXPECT_LT(std::string(error.what()).size(), 600u + 2 * error.subject().size());
  }
}

// Read into memory instead of mapped, the same files fail as well.
TEST_P(BadFiles, TypedErrorWithoutMmap) {
  const test::TempFolder folder;
  const auto path = GetParam().make(folder);
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored && size > (std::uintmax_t{128} << 20) && size < (std::uintmax_t{1} << 42))
    return;  // would really be read
  EXPECT_THROW(ModelFile::open(path, {.mlock = false, .no_mmap = true}), Error);
}

INSTANTIATE_TEST_SUITE_P(Catalogue, BadFiles, testing::ValuesIn(catalogue()),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(BadFileCatalogue, HasManyDistinctCases) {
  std::set<std::string> names;
  for (const BadFile& file : catalogue()) names.insert(file.name);
  EXPECT_EQ(names.size(), catalogue().size());
  EXPECT_GE(names.size(), 200u);
}

}  // namespace
}  // namespace strata
