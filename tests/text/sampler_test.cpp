#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/shared_data.h"
#include "tests/text/sampler_support.h"

namespace strata::text {
namespace {

using ::testing::ElementsAre;

std::vector<TokenId> ids(const std::vector<TokenProbability>& distribution) {
  std::vector<TokenId> result;
  for (const auto& entry : distribution) result.push_back(entry.id);
  return result;
}

std::vector<TokenId> survivors(const SamplingParameters& p, const std::vector<float>& logits,
                               const std::vector<TokenId>& history = {}) {
  Sampler sampler(p, logits.size());
  for (TokenId token : history) sampler.accept(token);
  return ids(sampler.distribution(logits));
}

// The numbers of cases.json by their names; top_k and repeat_last_n are whole numbers.
void set_parameter(SamplingParameters& p, const std::string& name, float value) {
  const std::map<std::string, float SamplingParameters::*> numbers = {
      {"temp", &SamplingParameters::temperature},
      {"dynatemp_range", &SamplingParameters::dynatemp_range},
      {"dynatemp_exponent", &SamplingParameters::dynatemp_exponent},
      {"top_p", &SamplingParameters::top_p},
      {"min_p", &SamplingParameters::min_p},
      {"typical_p", &SamplingParameters::typical_p},
      {"top_n_sigma", &SamplingParameters::top_n_sigma},
      {"repeat_penalty", &SamplingParameters::repeat_penalty},
      {"presence_penalty", &SamplingParameters::presence_penalty},
      {"frequency_penalty", &SamplingParameters::frequency_penalty}};
  if (name == "top_k")
    p.top_k = static_cast<std::int32_t>(value);
  else if (name == "repeat_last_n")
    p.repeat_last_n = static_cast<std::int32_t>(value);
  else
    p.*numbers.at(name) = value;
}

TEST(SamplerReference, EveryCase) {
  STRATA_NEEDS_SHARED();
  std::ifstream file(test::shared_root() / "fixtures" / "samplers" / "cases.json");
  const auto json = nlohmann::json::parse(file);
  const auto rows = json.at("logits").get<std::vector<std::vector<float>>>();
  for (const auto& item : json.at("cases")) {
    SCOPED_TRACE(item.at("name").get<std::string>() + ", row " + item.at("row").dump());
    SamplingParameters p = plain();
    for (const auto& [name, value] : item.at("parameters").items()) set_parameter(p, name, value);
    const auto& row = rows.at(item.at("row"));
    Sampler sampler(p, row.size());
    for (TokenId token : item.at("history")) sampler.accept(token);
    const auto got = sampler.distribution(row);
    EXPECT_EQ(got.size(), item.at("survivors").get<std::size_t>());
    const auto want_ids = item.at("ids").get<std::vector<TokenId>>();
    ASSERT_GE(got.size(), want_ids.size());
    for (std::size_t i = 0; i < want_ids.size(); ++i) {
      EXPECT_EQ(got[i].id, want_ids[i]) << "rank " << i;
      EXPECT_NEAR(got[i].probability, item.at("p")[i].get<double>(), 1e-5) << "rank " << i;
    }
  }
}

TEST(Sampler, PlainSoftmaxIsSortedAndTiesGoById) {
  Sampler sampler(plain(), 5);
  const auto got = sampler.distribution(logits_of({0.2, 0.1, 0.4, 0.2, 0.1}));
  EXPECT_THAT(ids(got), ElementsAre(2, 0, 3, 1, 4));
  EXPECT_NEAR(got[0].probability, 0.4, 1e-6);
  EXPECT_NEAR(got[4].probability, 0.1, 1e-6);
}

TEST(Sampler, DefaultsAreLlamaCpps) {
  const SamplingParameters p;
  EXPECT_FLOAT_EQ(p.temperature, 0.8f);
  EXPECT_EQ(p.top_k, 40);
  EXPECT_FLOAT_EQ(p.top_p, 0.95f);
  EXPECT_FLOAT_EQ(p.min_p, 0.05f);
  EXPECT_EQ(p.repeat_last_n, 64);
  EXPECT_FLOAT_EQ(p.repeat_penalty, 1);
}

TEST(Sampler, TopKKeepsTheFirstOfATie) {
  auto p = plain();
  p.top_k = 2;
  EXPECT_THAT(survivors(p, {1, 3, 3, 3, 0}), ElementsAre(1, 2));
  // Long enough for several cuts of the buffer, largest last.
  std::vector<float> rising(1000);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<float>(i / 2);
  EXPECT_THAT(survivors(p, rising), ElementsAre(998, 999));
  p.top_k = 3;
  EXPECT_THAT(survivors(p, rising), ElementsAre(998, 999, 996));
  p.top_k = 5000;
  EXPECT_EQ(survivors(p, rising).size(), rising.size());
}

TEST(Sampler, LazySortIsAFullSort) {
  std::vector<float> row(5000);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>((i * 7919) % 1250) / 500;
  const auto got = survivors(plain(), row);
  ASSERT_EQ(got.size(), row.size());
  for (std::size_t i = 1; i < got.size(); ++i) {
    const float a = row[static_cast<std::size_t>(got[i - 1])];
    const float b = row[static_cast<std::size_t>(got[i])];
    ASSERT_TRUE(a > b || (a == b && got[i - 1] < got[i])) << i;
  }
}

TEST(Sampler, TopPKeepsUntilItIsReached) {
  const auto row = logits_of({0.1, 0.4, 0.2, 0.3});
  auto p = plain();
  p.top_p = 0.65f;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3));
  p.top_p = 0.75f;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3, 2));
  p.top_p = 0;
  EXPECT_THAT(survivors(p, row), ElementsAre(1));
  p.min_keep = 3;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3, 2));
}

TEST(Sampler, MinPIsRelativeToTheLargest) {
  const auto row = logits_of({0.1, 0.4, 0.2, 0.3});
  auto p = plain();
  p.min_p = 0.45f;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3, 2));
  p.min_p = 0.6f;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3));
  p.min_p = 1;
  EXPECT_THAT(survivors(p, row), ElementsAre(1));
  p.min_keep = 2;
  EXPECT_THAT(survivors(p, row), ElementsAre(1, 3));
}

// p = .5 .25 .125 .125: entropy 1.75 ln 2; distances .75 .25 1.25 1.25 (times ln 2).
TEST(Sampler, TypicalKeepsTheNearestToTheEntropy) {
  const auto row = logits_of({0.5, 0.25, 0.125, 0.125});
  auto p = plain();
  p.typical_p = 0.2f;
  EXPECT_THAT(survivors(p, row), ElementsAre(1));
  p.min_keep = 2;
  EXPECT_THAT(survivors(p, row), ElementsAre(0, 1));
  p.min_keep = 0;
  p.typical_p = 0.7f;
  EXPECT_THAT(survivors(p, row), ElementsAre(0, 1));
  p.typical_p = 0.8f;
  EXPECT_THAT(survivors(p, row), ElementsAre(0, 1, 2));
}

// Reaching p exactly ends top-p; typical wants more than p.
TEST(Sampler, ExactlyTheLimit) {
  auto p = plain();
  p.top_p = 0.5f;
  EXPECT_THAT(survivors(p, {0, 0}), ElementsAre(0));
  p = plain();
  p.typical_p = 0.5f;
  EXPECT_THAT(survivors(p, {0, 0}), ElementsAre(0, 1));
}

// Mean 3, deviation 2, largest 5.
TEST(Sampler, TopNSigmaCountsDeviationsBelowTheLargest) {
  auto p = plain();
  p.top_n_sigma = 1.9f;
  EXPECT_THAT(survivors(p, {5, 1, 5, 1}), ElementsAre(0, 2));
  p.top_n_sigma = 2;
  EXPECT_THAT(survivors(p, {5, 1, 5, 1}), ElementsAre(0, 2, 1, 3));
  // A banned token changes neither mean nor deviation.
  EXPECT_THAT(survivors(p, {5, 1, -kInfinity, 5, 1}), ElementsAre(0, 3, 1, 4));
  p.top_n_sigma = 1.5f;
  EXPECT_THAT(survivors(p, {5, 1, -kInfinity, 5, 1}), ElementsAre(0, 3));
}

TEST(Sampler, PenaltiesDividePositiveAndMultiplyNegativeLogits) {
  auto p = plain();
  p.repeat_penalty = 2;
  p.frequency_penalty = 0.5f;
  p.presence_penalty = 0.25f;
  Sampler sampler(p, 3);
  for (TokenId token : {0, 1, 1}) sampler.accept(token);
  const auto got = sampler.distribution(std::vector<float>{4, -1, 0});
  // 4/2 - .5 - .25 = 1.25; -1*2 - 1 - .25 = -3.25; untouched 0.
  const double sum = std::exp(1.25) + std::exp(-3.25) + 1;
  ASSERT_THAT(ids(got), ElementsAre(0, 2, 1));
  EXPECT_NEAR(got[0].probability, std::exp(1.25) / sum, 1e-6);
  EXPECT_NEAR(got[2].probability, std::exp(-3.25) / sum, 1e-6);
}

TEST(Sampler, PenaltyWindowForgets) {
  auto p = plain();
  p.presence_penalty = 10;
  p.repeat_last_n = 2;
  EXPECT_THAT(survivors(p, {3, 2, 1}, {0, 1, 2}), ElementsAre(0, 1, 2));
  EXPECT_THAT(survivors(p, {3, 2, 1}, {1, 0, 0, 0}), ElementsAre(1, 2, 0));
  p.repeat_last_n = -1;
  EXPECT_THAT(survivors(p, {3, 2, 1}, {0, 1, 1, 1}), ElementsAre(2, 0, 1));
  p.repeat_last_n = 0;
  EXPECT_THAT(survivors(p, {3, 2, 1}, {0}), ElementsAre(0, 1, 2));
}

TEST(Sampler, BiasAddsAndBans) {
  auto p = plain();
  p.logit_bias = {{1, 5.0f}, {0, -kInfinity}};
  EXPECT_THAT(survivors(p, {3, 1, 2}), ElementsAre(1, 2));
  p.temperature = 0;
  EXPECT_THAT(survivors(p, {3, 1, 2}), ElementsAre(1));
}

TEST(Sampler, GreedyTakesTheLowestIdOfATie) {
  SamplingParameters p;
  p.temperature = 0;
  Sampler sampler(p, 4);
  const Choice choice = sampler.sample(std::vector<float>{1, 7, 7, 0}, 3);
  EXPECT_EQ(choice.id, 1);
  EXPECT_EQ(choice.probability, 1);
  p.temperature = -1;
  EXPECT_THAT(survivors(p, {1, 7, 7, 0}), ElementsAre(1));
  p.presence_penalty = 5;
  EXPECT_THAT(survivors(p, {1, 7, 6, 0}, {1}), ElementsAre(2));
}

// The typical filter stands before the temperature and may drop the largest logit.
TEST(Sampler, GreedyIsAmongWhatTypicalLeaves) {
  auto p = plain();
  p.temperature = 0;
  p.typical_p = 0.2f;
  EXPECT_THAT(survivors(p, logits_of({0.5, 0.25, 0.125, 0.125})), ElementsAre(1));
}

TEST(Sampler, DynamicTemperatureFollowsTheEntropy) {
  auto p = plain();
  p.dynatemp_range = 0.5f;
  // Even logits: entropy is the largest possible, temperature 1.5 changes nothing.
  Sampler even(p, 4);
  EXPECT_NEAR(even.distribution(std::vector<float>(4, 2.0f))[0].probability, 0.25, 1e-6);
  // p = .9 .1: share = entropy / ln 2, temperature .5 + share.
  const double share = -(0.9 * std::log(0.9) + 0.1 * std::log(0.1)) / std::log(2.0);
  const double odds = std::exp(std::log(9.0) / (0.5 + share));
  Sampler skewed(p, 2);
  EXPECT_NEAR(skewed.distribution(logits_of({0.9, 0.1}))[0].probability, odds / (1 + odds), 1e-6);
  p.dynatemp_exponent = 2;
  const double squared = std::exp(std::log(9.0) / (0.5 + share * share));
  Sampler power(p, 2);
  EXPECT_NEAR(power.distribution(logits_of({0.9, 0.1}))[0].probability, squared / (1 + squared),
              1e-6);
}

TEST(Sampler, ExtremeTemperatures) {
  auto p = plain();
  p.temperature = 1e-45f;
  EXPECT_THAT(survivors(p, {1, 30, 2}), ElementsAre(1));
  p.temperature = 1e30f;
  Sampler sampler(p, 3);
  EXPECT_NEAR(sampler.distribution(std::vector<float>{1, 30, 2})[0].probability, 1.0 / 3, 1e-6);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  auto p = plain();
  p.seed = 99;
  Sampler sampler(p, 3);
  const auto row = logits_of({0.2, 0.5, 0.3});
  int count[3] = {};
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) ++count[sampler.sample(row, static_cast<std::uint64_t>(i)).id];
  // Five standard deviations of a binomial count, at most sqrt(n / 4) each.
  EXPECT_NEAR(count[0], 0.2 * kDraws, 5 * 71);
  EXPECT_NEAR(count[1], 0.5 * kDraws, 5 * 71);
  EXPECT_NEAR(count[2], 0.3 * kDraws, 5 * 71);
}

TEST(Sampler, SameSeedSameTokens) {
  auto tokens = [](std::uint64_t seed, std::uint64_t sequence) {
    auto p = plain();
    p.seed = seed;
    Sampler sampler(p, 100, sequence);
    std::vector<TokenId> result;
    for (std::uint64_t i = 0; i < 50; ++i)
      result.push_back(sampler.sample(std::vector<float>(100, 0.0f), i).id);
    return result;
  };
  EXPECT_EQ(tokens(1, 0), tokens(1, 0));
  EXPECT_NE(tokens(1, 0), tokens(2, 0));
  EXPECT_NE(tokens(1, 0), tokens(1, 1));
  // A draw depends on its position alone, not on how many went before.
  auto p = plain();
  p.seed = 1;
  Sampler late(p, 100);
  EXPECT_EQ(late.sample(std::vector<float>(100, 0.0f), 49).id, tokens(1, 0)[49]);
}

}  // namespace
}  // namespace strata::text
