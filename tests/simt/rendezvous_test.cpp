// Barriers, shuffles and votes of simt-host, and what it finds wrong in kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <vector>

#include "backends/simt/reduce.h"
#include "tests/simt/simt_run.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class SimtRendezvous : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Lanes, SimtRendezvous, testing::Values(32, 64));

void shuffles(int* out) {  // out (threads, 5)
  int* mine = out + thread_x() * 5;
  mine[0] = shuffle(thread_x(), (lane() + 1) % lane_count());
  mine[1] = shuffle_xor(thread_x(), 3);
  mine[2] = shuffle_down(thread_x(), 5);
  mine[3] = shuffle_up(thread_x(), 5);
  mine[4] = static_cast<int>(shuffle(std::int64_t{1} << 40 | thread_x(), 0) >> 40);
}

TEST_P(SimtRendezvous, ShufflesGiveWhatTheOtherLaneHad) {
  const int lanes = GetParam();
  for (unsigned seed = 0; seed < 20; ++seed) {
    Bench bench(lanes, seed);
    std::vector<int> out(128 * 5);
    launch(*bench.stream, shuffles, {}, 128, 0, out.data());
    for (int t = 0; t < 128; ++t) {
      const int first = t / lanes * lanes;
      const int at = t % lanes;
      const int* got = out.data() + t * 5;
      EXPECT_EQ(got[0], first + (at + 1) % lanes);
      EXPECT_EQ(got[1], t ^ 3);
      EXPECT_EQ(got[2], at + 5 < lanes ? t + 5 : t);
      EXPECT_EQ(got[3], at >= 5 ? t - 5 : t);
      EXPECT_EQ(got[4], 1);
    }
  }
}

void votes(std::uint64_t* out) { out[thread_x()] = ballot(lane() % 3 == 0); }

TEST_P(SimtRendezvous, AVoteHasABitPerLane) {
  std::uint64_t want = 0;
  for (int i = 0; i < GetParam(); i += 3) want |= std::uint64_t{1} << i;
  Bench bench(GetParam());
  std::vector<std::uint64_t> out(128);
  launch(*bench.stream, votes, {}, 128, 0, out.data());
  EXPECT_EQ(out, std::vector<std::uint64_t>(128, want));
}

template <bool kWithBarrier>
void block_total(const float* x, float* out) {  // x (blocks, threads) to out (blocks)
  float* part = dynamic_shared<float>();
  const float sum = warp_sum(x[block_x() * threads_x() + thread_x()]);
  if (lane() == 0) part[warp()] = sum;
  if constexpr (kWithBarrier) sync_block();
  if (thread_x() != 0) return;
  float total = 0;
  for (int w = 0; w < threads_x() / lane_count(); ++w) total += part[w];
  out[block_x()] = total;
}

TEST_P(SimtRendezvous, ALeftOutBarrierShowsInMostSchedules) {
  const std::vector<float> x(256 * 3, 1.0F);
  int wrong = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    Bench bench(GetParam(), seed);
    std::vector<float> out(3);
    const auto shared = static_cast<std::size_t>(256 / GetParam()) * sizeof(float);
    launch(*bench.stream, block_total<true>, {3}, 256, shared, x.data(), out.data());
    EXPECT_EQ(out, std::vector<float>(3, 256.0F));
    launch(*bench.stream, block_total<false>, {3}, 256, shared, x.data(), out.data());
    wrong += out != std::vector<float>(3, 256.0F) ? 1 : 0;
  }
  EXPECT_GT(wrong, 15);
}

void reduce_all(float* out) {
  float* shared = dynamic_shared<float>();
  const float sum = block_sum(static_cast<float>(thread_x()), shared);
  sync_block();
  const float largest = block_max(static_cast<float>(thread_x()), shared);
  out[thread_x()] = sum * 100 + largest;
}

TEST_P(SimtRendezvous, ReductionsAreTheSameInEveryThread) {
  Bench bench(GetParam());
  std::vector<float> out(192);
  launch(*bench.stream, reduce_all, {}, 192, 6 * sizeof(float), out.data());
  EXPECT_EQ(out, std::vector<float>(192, 192 * 191 / 2 * 100 + 191));
}

void order_of_blocks(int* next, int* seen) {  // seen (blocks)
  seen[(*next)++] = (block_z() * blocks_y() + block_y()) * blocks_x() + block_x();
}

TEST_P(SimtRendezvous, EachBlockRunsOnceInAnOrderOfTheSeed) {
  std::set<std::vector<int>> orders;
  for (unsigned seed = 0; seed < 10; ++seed) {
    Bench bench(GetParam(), seed);
    int next = 0;
    std::vector<int> seen(3 * 4 * 5, -1);
    launch(*bench.stream, order_of_blocks, {3, 4, 5}, 1, 0, &next, seen.data());
    orders.insert(seen);
    EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), seen.size());
  }
  EXPECT_GT(orders.size(), 5U);
}

void leaves_before_barrier(int from) {
  if (thread_x() >= from) return;
  sync_block();
}
void meets_apart(int from) {
  if (thread_x() < from)
    sync_block();
  else
    sync_block();
}
void shuffles_alone(int from, int* out) {
  if (thread_x() % lane_count() >= from) return;
  *out = shuffle_xor(1, 1);
}

TEST_P(SimtRendezvous, DivergenceIsAnErrorThatNamesKernelAndThreads) {
  Bench bench(GetParam());
  Stream& stream = *bench.stream;
  int out = 0;
  for (int times = 0; times < 2; ++times) {  // the device is as good as new afterwards
    EXPECT_THAT(error_of([&] { launch(stream, leaves_before_barrier, {2}, 128, 0, 40); }),
                MatchesRegex("rendezvous_test.cpp:[0-9]+: divergent: threads 0-39 are at "
                             "rendezvous_test.cpp:[0-9]+; threads 40-127 have ended"));
    EXPECT_THAT(error_of([&] { launch(stream, meets_apart, {}, 64, 0, 7); }),
                MatchesRegex("rendezvous_test.cpp:[0-9]+: block \\(0, 0, 0\\), thread [0-9]+ meets "
                             "at rendezvous_test.cpp:[0-9]+ while thread [0-9]+ is at .*"));
    EXPECT_THAT(error_of([&] { launch(stream, shuffles_alone, {}, 64, 0, 4, &out); }),
                HasSubstr("divergent: threads 0-3"));
    EXPECT_THAT(error_of([&] { launch(stream, shuffles_alone, {}, 16, 0, 64, &out); }),
                HasSubstr("needs a whole warp"));
  }
}

void reads_lane(int from, int* out) { out[thread_x()] = shuffle(thread_x(), from); }

TEST_P(SimtRendezvous, ALaneThatIsNotThereIsAnError) {
  Bench bench(GetParam());
  std::vector<int> out(64);
  EXPECT_THAT(
      error_of([&] { launch(*bench.stream, reads_lane, {}, 64, 0, GetParam(), out.data()); }),
      HasSubstr("reads lane"));
}

void throws_in_one(int thread) {
  if (thread_x() == thread) throw std::runtime_error("from a thread");
  sync_block();
}

TEST_P(SimtRendezvous, WhatAThreadThrowsReachesTheLauncher) {
  Bench bench(GetParam());
  EXPECT_THROW(launch(*bench.stream, throws_in_one, {3}, 256, 0, 77), std::runtime_error);
  EXPECT_NO_THROW(launch(*bench.stream, throws_in_one, {3}, 256, 0, -1));
}

}  // namespace
}  // namespace strata::simt_host
