// The sampler on the largest logits alone chooses what it chooses from the whole row, or says that
// it cannot tell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/text/sampler_support.h"

namespace strata::text {
namespace {

using ::testing::HasSubstr;

constexpr double kSumError = 0x1p-15;

// A row, and what a device finds in it.
struct Row {
  std::vector<float> logits;
  std::vector<TokenId> ids;
  std::vector<float> top;
  double sum = 0;
  std::size_t unusable = 0;

  Row(std::vector<float> row, std::size_t count) : logits(std::move(row)), ids(logits.size()) {
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) { return at(a) > at(b); });
    for (float logit : logits) {
      if (!(logit < kInfinity)) ++unusable;
      sum += std::exp(static_cast<double>(logit) - static_cast<double>(at(ids[0])));
    }
    ids.resize(std::min(count, ids.size()));
    for (TokenId id : ids) top.push_back(at(id));
  }
  float at(TokenId id) const {
    const float logit = logits[static_cast<std::size_t>(id)];
    return std::isnan(logit) ? -kInfinity : logit;
  }
  // With the sum off by this share of what it may be off.
  TopLogits view(double off = 0) const {
    return {ids, top, sum * (1 + off * kSumError), kSumError, unusable};
  }
};

std::vector<float> random_row(std::mt19937& random, std::size_t size, float spread) {
  std::normal_distribution<float> values(0, spread);
  std::vector<float> row(size);
  for (float& logit : row) logit = values(random);
  if (random() % 4 == 0)  // ties
    for (float& logit : row) logit = std::round(logit);
  if (random() % 4 == 0) row[random() % size] = -kInfinity;
  return row;
}

// How many of 60 choices were made from the 64 largest of rows of 1000; all of these must be those
// of the whole row, whatever the error of the sum.
int choices_from_top(const SamplingParameters& p, float spread) {
  std::mt19937 random(7);
  Sampler whole(p, 1000, 3);
  Sampler sampler(p, 1000, 3);
  int chosen = 0;
  for (std::uint64_t position = 0; position < 60; ++position) {
    const Row row(random_row(random, 1000, spread), 64);
    const Choice want = whole.sample(row.logits, position);
    for (double off : {-1.0, 0.0, 1.0}) {
      const std::optional<Choice> got = sampler.sample(row.view(off), position);
      if (off == 0 && got) ++chosen;
      if (!got) continue;
      EXPECT_EQ(got->id, want.id) << "position " << position;
      EXPECT_EQ(got->probability, want.probability) << "position " << position;
    }
  }
  return chosen;
}

SamplingParameters with(float SamplingParameters::* field, float value) {
  SamplingParameters p = plain();
  p.*field = value;
  return p;
}

TEST(SamplerTop, GreedyIsTheFirst) {
  EXPECT_EQ(choices_from_top(with(&SamplingParameters::temperature, 0), 3), 60);
}

TEST(SamplerTop, TopKOfAtMostAsManyIsAlwaysEnough) {
  SamplingParameters p;  // as users have it
  p.seed = 5;
  EXPECT_EQ(choices_from_top(p, 3), 60);
  p.top_k = 64;
  p.min_keep = 3;
  p.dynatemp_range = 0.5F;
  p.typical_p = 0.8F;
  EXPECT_EQ(choices_from_top(p, 1), 60);
  p.top_k = 65;
  EXPECT_EQ(choices_from_top(p, 1), 0);
}

TEST(SamplerTop, TopPAloneIsEnoughWhereItEndsAmongThem) {
  SamplingParameters p = with(&SamplingParameters::top_p, 0.9F);
  EXPECT_GE(choices_from_top(p, 6), 55);
  EXPECT_EQ(choices_from_top(p, 0.2F), 0);  // nearly flat: hundreds of tokens
  p.min_p = 0.02F;
  p.min_keep = 2;
  EXPECT_GE(choices_from_top(p, 6), 55);
}

TEST(SamplerTop, MinPAloneIsEnoughWhereItEndsAmongThem) {
  EXPECT_EQ(choices_from_top(with(&SamplingParameters::min_p, 0.1F), 3), 60);
  EXPECT_EQ(choices_from_top(with(&SamplingParameters::min_p, 0.1F), 0.2F), 0);
}

// Where the sum's error leaves open whether one token more is kept, the whole row is asked for.
TEST(SamplerTop, AnEndThatTheErrorHidesIsNotGuessed) {
  const SamplingParameters p = with(&SamplingParameters::top_p, 0.75F);
  Sampler sampler(p, 4);
  const Row row(logits_of({0.5, 0.25, 0.125, 0.125}), 3);
  EXPECT_FALSE(sampler.sample(row.view(), 0).has_value());
  EXPECT_FALSE(sampler.sample(row.view(0.9), 0).has_value());
  const Row clear(logits_of({0.6, 0.25, 0.1, 0.05}), 3);
  EXPECT_TRUE(sampler.sample(clear.view(), 0).has_value());
}

TEST(SamplerTop, WhatLooksAtEveryLogitTakesNone) {
  EXPECT_FALSE(Sampler(plain(), 100).takes_top(64));
  EXPECT_FALSE(Sampler(with(&SamplingParameters::typical_p, 0.9F), 100).takes_top(64));
  for (const bool greedy : {false, true}) {
    SamplingParameters p;
    if (greedy) p.temperature = 0;
    EXPECT_TRUE(Sampler(p, 100).takes_top(64));
    EXPECT_FALSE(Sampler(p, 100).takes_top(0));
    SamplingParameters other = p;
    other.repeat_penalty = 1.1F;
    EXPECT_FALSE(Sampler(other, 100).takes_top(64));
    other = p;
    other.logit_bias = {{3, 1.0F}};
    EXPECT_FALSE(Sampler(other, 100).takes_top(64));
    other = p;
    other.top_n_sigma = 1;
    EXPECT_FALSE(Sampler(other, 100).takes_top(64));
  }
}

TEST(SamplerTop, BadRowsAreTheSameErrors) {
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    std::vector<float> logits(10, bad == -kInfinity ? bad : 1.0F);
    logits[4] = bad;
    Row row(logits, 5);
    if (bad == -kInfinity) row.sum = 0;
    SamplingParameters p;
    p.top_k = 3;
    Sampler sampler(p, 10);
    const Error want = error_of([&] { sampler.sample(row.logits, 8); });
    const Error got = error_of([&] { (void)sampler.sample(row.view(), 8); });
    EXPECT_THAT(want.what(), HasSubstr("position 8"));
    EXPECT_STREQ(got.what(), want.what());
    EXPECT_EQ(got.hint(), want.hint());
  }
}

}  // namespace
}  // namespace strata::text
