// Damage that no catalogue lists: every truncation and every changed byte of a small valid file,
// and headers that would cost a careless parser quadratic time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "runtime/core/error.h"
#include "runtime/weights/gguf.h"
#include "runtime/weights/model_file.h"
#include "tests/fuzz/gguf_fuzz.h"
#include "tests/support/allocation_counter.h"
#include "tests/weights/cpu_clock.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

std::span<const std::byte> as_span(const std::string& bytes) {
  return std::as_bytes(std::span(bytes));
}

TEST(DamagedFile, EveryTruncationIsATypedError) {
  const std::string whole = test::small_model().no_final_padding().build();
  const test::TempFolder folder;
  const auto path = folder.write("model.gguf", whole);
  EXPECT_NO_THROW(ModelFile::open(path));
  for (std::size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    try {
      ModelFile::open(path);
      ADD_FAILURE() << "opened with " << size << " of " << whole.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error_class(error.code()).tag, "E-MODEL") << error.what();
      EXPECT_EQ(error.subject(), path.string());
    }
  }
}

TEST(DamagedFile, EveryChangedByteIsAcceptedSoundOrATypedError) {
  const std::string whole = test::small_model().build();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int change : {0x01, 0x80, 0xff, 0x20}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      refused += test::fuzz_gguf(as_span(bytes)) ? 0 : 1;
    }
  EXPECT_GT(refused, 500u);
}

/// A striking number over a field, a flipped bit, a cut, or a doubled stretch.
void mutate(std::string& bytes, std::mt19937_64& random) {
  constexpr std::uint64_t kStriking[] = {0,          1,          0x7fffffff, 0xffffffff,
                                         1ull << 62, ~0ull - 31, ~0ull};
  const std::size_t at = random() % bytes.size();
  const std::size_t length = std::min<std::size_t>(bytes.size() - at, 8);
  switch (random() % 4) {
    case 0:
      std::memcpy(&bytes[at], &kStriking[random() % std::size(kStriking)], length);
      break;
    case 1:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      break;
    case 2:
      bytes.resize(std::max<std::size_t>(at, 1));
      break;
    default:
      bytes.insert(at, bytes.substr(at, 1 + random() % 64));
      break;
  }
}

TEST(DamagedFile, RandomMutationsOfSeveralSeeds) {
  const std::string seeds[] = {
      test::small_model().build(),
      test::small_model().version(2).kv_u32("general.alignment", 64).alignment(64).build(),
      test::GgufBuilder().kv_strings("tokens", {"a", "b", "c"}).build(),
      test::GgufBuilder().tensor("experts", {256, 2, 3, 2}, 12).tensor("x", {64}, 40).build(),
      test::GgufBuilder().build(),
  };
  std::mt19937_64 random(20261121);
  std::size_t accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = seeds[random() % std::size(seeds)];
    for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) mutate(bytes, random);
    accepted += test::fuzz_gguf(as_span(bytes)) ? 1 : 0;
  }
  // Neither all right nor all wrong: the mutations reach both sides of the checks.
  EXPECT_GT(accepted, 50u);
  EXPECT_LT(accepted, 3950u);
}

/// Names that share a long beginning, so that comparing instead of hashing them would be slow.
std::string alike(std::string_view start, int i) { return std::string(start) + std::to_string(i); }

TEST(LargeHeader, EightyThousandTensorsInLinearTime) {
  test::GgufBuilder builder;
  for (int i = 0; i < 80'000; ++i) builder.tensor(alike(std::string(50, 'p'), i), {8});
  const std::string bytes = builder.build();
  MemoryBudget budget;
  const test::AllocationPeak peak;
  const double start = test::cpu_seconds();
  const GgufFile file = parse_gguf(as_span(bytes), "model.gguf", budget);
  EXPECT_LT(test::cpu_seconds() - start, test::kHostileSeconds);
  EXPECT_EQ(file.tensors.size(), 80'000u);
  EXPECT_LE(peak.bytes(), kParserBudgetBytes);
  EXPECT_LE(peak.bytes(), budget.used() + 4096);
}

TEST(LargeHeader, SixtyFiveThousandKeysInLinearTime) {
  test::GgufBuilder builder;
  for (int i = 0; i < 65'536; ++i) builder.kv_u32(alike(std::string(400, 'k'), i), 1);
  const std::string bytes = builder.build();
  MemoryBudget budget;
  const test::AllocationPeak peak;
  const double start = test::cpu_seconds();
  const GgufFile file = parse_gguf(as_span(bytes), "model.gguf", budget);
  EXPECT_LT(test::cpu_seconds() - start, test::kHostileSeconds);
  EXPECT_EQ(file.metadata.size(), 65'536u);
  EXPECT_LE(peak.bytes(), budget.used() + 4096);
}

TEST(LargeHeader, DuplicateAmongEightyThousandIsFound) {
  test::GgufBuilder builder;
  for (int i = 0; i < 80'000; ++i) builder.tensor(alike("t", i == 79'999 ? 7 : i), {8});
  const std::string bytes = builder.build();
  MemoryBudget budget;
  EXPECT_THROW(parse_gguf(as_span(bytes), "model.gguf", budget), Error);
}

TEST(LargeHeader, VocabularyCostsAViewPerToken) {
  const std::vector<std::string> tokens(200'000, "token");
  const std::string bytes = test::GgufBuilder().kv_strings("tokens", tokens).build();
  MemoryBudget budget;
  const test::AllocationPeak peak;
  const double start = test::cpu_seconds();
  const GgufFile file = parse_gguf(as_span(bytes), "model.gguf", budget);
  EXPECT_LT(test::cpu_seconds() - start, test::kHostileSeconds);
  EXPECT_EQ(file.metadata.find_string_array("tokens")->size(), tokens.size());
  EXPECT_LT(peak.bytes(), std::size_t{4} << 20);
}

TEST(LargeFile, EightTebibytesOfWeightsOpen) {
  const test::TempFolder folder;
  const auto path = folder.write(
      "model.gguf",
      test::GgufBuilder().tensor({.dims = {std::uint64_t{1} << 20, 1u << 21}}).build());
  std::error_code error;
  std::filesystem::resize_file(path, (std::uintmax_t{8} << 40) + 96, error);
  if (error) GTEST_SKIP() << "SKIP: the disk takes no sparse file of 8 TiB";
  const auto model = ModelFile::open(path);
  EXPECT_EQ(model->tensor_bytes(), std::uint64_t{8} << 40);
  EXPECT_EQ(model->data(model->tensors()[0]).back(), std::byte{0});
}

}  // namespace
}  // namespace strata
