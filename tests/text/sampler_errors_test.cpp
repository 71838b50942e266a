#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/text/sampler_support.h"

namespace strata::text {
namespace {

using ::testing::HasSubstr;

TEST(Sampler, NotANumberIsAnErrorThatCounts) {
  Sampler sampler(SamplingParameters(), 4);
  const float nan = std::nanf("");
  const Error error =
      error_of([&] { sampler.sample(std::vector<float>{1, nan, kInfinity, 0}, 17); });
  EXPECT_EQ(error.code(), ErrorCode::numeric);
  EXPECT_THAT(error.what(), HasSubstr("position 17"));
  EXPECT_THAT(error.what(), HasSubstr("2 of 4"));
}

TEST(Sampler, EverythingBannedIsAnError) {
  for (float temperature : {0.0f, 1.0f}) {
    auto p = plain();
    p.temperature = temperature;
    p.logit_bias = {{0, -kInfinity}, {1, -kInfinity}};
    Sampler sampler(p, 2);
    const Error error = error_of([&] { sampler.sample(std::vector<float>{1, 2}, 0); });
    EXPECT_EQ(error.code(), ErrorCode::numeric);
    EXPECT_THAT(error.what(), HasSubstr("all 2 tokens are banned"));
  }
}

TEST(Sampler, ValidateNamesTheField) {
  const float nan = std::nanf("");
  struct Bad {
    const char* field;
    std::function<void(SamplingParameters&)> set;
  };
  const Bad cases[] = {
      {"temperature", [&](auto& p) { p.temperature = nan; }},
      {"temperature", [&](auto& p) { p.temperature = kInfinity; }},
      {"dynatemp_range", [&](auto& p) { p.dynatemp_range = -1; }},
      {"dynatemp_exponent", [&](auto& p) { p.dynatemp_exponent = nan; }},
      {"top_p", [&](auto& p) { p.top_p = 1.5f; }},
      {"top_p", [&](auto& p) { p.top_p = nan; }},
      {"min_p", [&](auto& p) { p.min_p = -0.1f; }},
      {"typical_p", [&](auto& p) { p.typical_p = 2; }},
      {"top_n_sigma", [&](auto& p) { p.top_n_sigma = nan; }},
      {"repeat_penalty", [&](auto& p) { p.repeat_penalty = 0; }},
      {"repeat_penalty", [&](auto& p) { p.repeat_penalty = nan; }},
      {"repeat_penalty", [&](auto& p) { p.repeat_penalty = 1e30f; }},
      {"presence_penalty", [&](auto& p) { p.presence_penalty = -1e30f; }},
      {"frequency_penalty", [&](auto& p) { p.frequency_penalty = nan; }},
      {"repeat_last_n", [&](auto& p) { p.repeat_last_n = -2; }},
      {"min_keep", [&](auto& p) { p.min_keep = -1; }},
      {"logit_bias", [&](auto& p) { p.logit_bias = {{-1, 1.0f}}; }},
      {"logit_bias", [&](auto& p) { p.logit_bias = {{10, 1.0f}}; }},
      {"logit_bias", [&](auto& p) { p.logit_bias = {{1, nan}}; }},
      {"logit_bias", [&](auto& p) { p.logit_bias = {{1, kInfinity}}; }},
  };
  for (const Bad& bad : cases) {
    SamplingParameters p;
    bad.set(p);
    const Error error = error_of([&] { Sampler(p, 10); });
    EXPECT_EQ(error.code(), ErrorCode::bad_request) << bad.field;
    EXPECT_EQ(error.subject(), bad.field);
  }
  EXPECT_EQ(error_of([] { SamplingParameters().validate(); }).subject(), "nothing");
  const Error range = error_of([] {
    SamplingParameters p;
    p.top_p = 1.5f;
    p.validate();
  });
  EXPECT_STREQ(range.what(), "top_p: 1.5 is not 0 to 1");
}

TEST(Sampler, RefusesTokensAndRowsThatDoNotFit) {
  Sampler sampler(SamplingParameters(), 4);
  EXPECT_EQ(error_of([&] { sampler.accept(4); }).code(), ErrorCode::bad_request);
  EXPECT_EQ(error_of([&] { sampler.accept(-1); }).code(), ErrorCode::bad_request);
  EXPECT_EQ(error_of([&] { sampler.sample(std::vector<float>(3), 0); }).subject(), "sampler");
}

TEST(LogProbabilities, AreTheLogSoftmaxOfTheRawRow) {
  const auto row = logits_of({0.1, 0.4, 0.2, 0.2, 0.1});
  TokenLogProbability top[3];
  EXPECT_NEAR(log_probabilities(row, 4, top), std::log(0.1), 1e-6);
  EXPECT_EQ(top[0].id, 1);
  EXPECT_EQ(top[1].id, 2);
  EXPECT_EQ(top[2].id, 3);
  EXPECT_NEAR(top[0].log_probability, std::log(0.4), 1e-6);
  EXPECT_NEAR(top[2].log_probability, std::log(0.2), 1e-6);
  EXPECT_NEAR(log_probabilities(row, 0, {}), std::log(0.1), 1e-6);
}

TEST(LogProbabilities, RefusesWhatIsNotARow) {
  const std::vector<float> row = {1, std::nanf("")};
  EXPECT_EQ(error_of([&] { log_probabilities(row, 0, {}); }).code(), ErrorCode::numeric);
  const std::vector<float> good = {1, 2};
  EXPECT_EQ(error_of([&] { log_probabilities(good, 2, {}); }).code(), ErrorCode::bad_request);
  TokenLogProbability top[3];
  EXPECT_EQ(error_of([&] { log_probabilities(good, 0, top); }).code(), ErrorCode::bad_request);
}

}  // namespace
}  // namespace strata::text
