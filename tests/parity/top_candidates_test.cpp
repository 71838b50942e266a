#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/ops/candidates.h"
#include "tests/parity/op_run.h"
#include "tests/reference/candidates.h"

namespace strata::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void check_row(const CandidateRow& got, const reference::Candidates& want) {
  for (std::size_t i = 0; i < want.ids.size(); ++i) {
    ASSERT_EQ(got.ids[i], want.ids[i]) << "candidate " << i;
    ASSERT_EQ(static_cast<double>(got.logits[i]), want.logits[i]) << "candidate " << i;
  }
  ASSERT_NEAR(static_cast<double>(got.weight_sum), want.weight_sum,
              kWeightSumError * want.weight_sum);
  ASSERT_EQ(got.unusable, want.unusable);
}

void check(Device& device, const HostTensor& logits, std::int32_t count) {
  const std::int64_t rows = logits.view().rows();
  const HostTensor out = HostTensor::i32(rows, candidate_words(count));
  run_op(device, TopCandidates{count}, {logits.view()}, {}, {out.view()});
  ASSERT_TRUE(out.guards_intact());
  for (std::int64_t r = 0; r < rows; ++r) {
    SCOPED_TRACE("row " + std::to_string(r) + ", " + std::to_string(count) + " of " +
                 std::to_string(logits.view().columns()));
    const std::vector<double> row(logits.row(r), logits.row(r) + logits.view().columns());
    ASSERT_NO_FATAL_FAILURE(
        check_row(candidate_row(out.view().row(r), count), reference::candidates(row, count)));
  }
}

// Where every case is run in many orders of threads, one row of two chunks.
bool is_slow() { return largest_batch() < 8; }

TEST(TopCandidates, MatchesReference) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(3);
    const std::vector<std::int64_t> widths = {1, 2, 17, 1000, 4096, 4097};
    for (std::int64_t columns : is_slow() ? std::vector<std::int64_t>{4097} : widths) {
      for (std::int32_t count : is_slow() ? std::vector{5} : std::vector{1, 5, 64}) {
        const HostTensor logits = HostTensor::f32(columns < 100 ? 3 : 1, columns, 64);
        logits.randomize(random, 12.0F);
        ASSERT_NO_FATAL_FAILURE(check(device, logits, count));
      }
    }
  });
}

TEST(TopCandidates, TakesManyRows) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(5);
    for (std::int64_t rows : batches({2, 33, 130})) {
      const HostTensor logits = HostTensor::f32(rows, 50, 4);
      logits.randomize(random, 3.0F);
      ASSERT_NO_FATAL_FAILURE(check(device, logits, 7));
    }
  });
}

// More candidates of all chunks together than one work group holds, so that lists are merged twice.
TEST(TopCandidates, MergesListsInSeveralRounds) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(6);
    const HostTensor logits = HostTensor::f32(1, 17 * 4096 + 5);
    logits.randomize(random, 5.0F);
    ASSERT_NO_FATAL_FAILURE(check(device, logits, 256));
  });
}

TEST(TopCandidates, TiesGoToTheLowerId) {
  for_each_device(1, [](Device& device) {
    std::mt19937 random(4);
    const HostTensor logits = HostTensor::f32(2, 9000);
    for (std::int64_t r = 0; r < 2; ++r)
      for (int i = 0; i < 9000; ++i)
        logits.row(r)[i] = r == 0 ? 2.5F : static_cast<float>(random() % 3) - 2.0F;
    ASSERT_NO_FATAL_FAILURE(check(device, logits, 33));
  });
}

// Both zeros are equal, and the lower id wins whatever its sign.
TEST(TopCandidates, ZerosAreEqualWhateverTheirSign) {
  for_each_device(1, [](Device& device) {
    const HostTensor logits = HostTensor::f32(1, 40);
    for (int i = 0; i < 40; ++i) logits.row(0)[i] = i % 3 == 0 ? -0.0F : i % 3 == 1 ? 0.0F : -1.0F;
    ASSERT_NO_FATAL_FAILURE(check(device, logits, 30));
  });
}

TEST(TopCandidates, NanAndInfinitiesKeepTheirPlaces) {
  for_each_device(1, [](Device& device) {
    const float odd[] = {NAN, -NAN, -kInfinity, kInfinity, 1.0F, -1.0F, 3e38F, 1e-44F};
    std::mt19937 random(9);
    for (std::int64_t columns : {8, 4200}) {
      const HostTensor logits = HostTensor::f32(3, columns);
      for (int i = 0; i < columns; ++i) {
        logits.row(0)[i] = odd[random() % 8];                     // all kinds
        logits.row(1)[i] = random() % 2 == 0 ? NAN : -kInfinity;  // nothing to choose from
        logits.row(2)[i] = i == columns - 1 ? -7.0F : odd[random() % 3];
      }
      ASSERT_NO_FATAL_FAILURE(check(device, logits, 8));
    }
  });
}

}  // namespace
}  // namespace strata::test
