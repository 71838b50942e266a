// Every quantized type against logits that transformers computed in float32 from the dequantized
// weights. The bar is what llama.cpp's own CPU kernels differ by, times 1.1.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

/// A row of the table in the reference data's README: llama.cpp's differences.
struct Bar {
  const char* type;
  double relative_rms;
  double divergence;
};

constexpr Bar kBars[] = {
    {"F16", 4.9e-4, 6.8e-7},    {"BF16", 3.9e-3, 4.1e-5},   {"Q8_0", 1.5e-2, 5.5e-4},
    {"Q4_0", 1.5e-2, 5.6e-4},   {"Q4_1", 1.5e-2, 5.7e-4},   {"Q5_0", 1.4e-2, 6.5e-4},
    {"Q5_1", 1.5e-2, 6.9e-4},   {"Q2_K", 2.3e-2, 1.5e-3},   {"Q3_K", 2.2e-2, 1.3e-3},
    {"Q4_K", 2.2e-2, 1.3e-3},   {"Q5_K", 2.1e-2, 1.3e-3},   {"Q6_K", 2.2e-2, 1.4e-3},
    {"IQ4_NL", 1.5e-2, 6.4e-4}, {"IQ4_XS", 2.2e-2, 1.3e-3}, {"Q4_K_M", 2.2e-2, 1.3e-3},
};
constexpr double kAllowance = 1.1;

double relative_rms(const std::vector<float>& got, const std::vector<float>& want) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(double{got[i]} - want[i], 2);
    size += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(difference / size);
}

double log_sum_exp(std::span<const float> row) {
  double largest = row[0];
  for (float logit : row) largest = std::max(largest, double{logit});
  double sum = 0;
  for (float logit : row) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

// Mean over the rows of KL(want || got), natural logarithm.
double mean_divergence(std::span<const float> got, std::span<const float> want,
                       std::size_t vocabulary) {
  double total = 0;
  const std::size_t rows = want.size() / vocabulary;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto w = want.subspan(row * vocabulary, vocabulary);
    const auto g = got.subspan(row * vocabulary, vocabulary);
    const double w_sum = log_sum_exp(w);
    const double g_sum = log_sum_exp(g);
    for (std::size_t i = 0; i < vocabulary; ++i) {
      const double log_p = w[i] - w_sum;
      total += std::exp(log_p) * (log_p - (g[i] - g_sum));
    }
  }
  return total / static_cast<double>(rows);
}

struct Case {
  Bar bar;
  DType cache;
};

class QuantizedModel : public testing::TestWithParam<Case> {};

TEST_P(QuantizedModel, StaysWithinTheBar) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "quantized-model";
  const Case& tested = GetParam();
  const std::string type = tested.bar.type;
  const std::vector<text::TokenId> prompt = read_json(folder / "expected.json").at("prompt_ids");
  LoadedModel loaded = load_model(folder / (type + ".gguf"), test_options(tested.cache));
  const std::vector<float> got = all_logits(*loaded.runner, prompt);
  const std::vector<float> want = read_floats(folder / (type + ".logits.f32"));
  ASSERT_EQ(got.size(), want.size());
  const double rms = relative_rms(got, want);
  const double divergence = mean_divergence(got, want, want.size() / prompt.size());
  RecordProperty("relative_rms", std::to_string(rms));
  RecordProperty("mean_divergence", std::to_string(divergence));
  RecordProperty("rms_of_bar", std::to_string(rms / tested.bar.relative_rms));
  RecordProperty("divergence_of_bar", std::to_string(divergence / tested.bar.divergence));
  EXPECT_LE(rms, kAllowance * tested.bar.relative_rms);
  EXPECT_LE(divergence, kAllowance * tested.bar.divergence);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Bar& bar : kBars)
    for (DType cache : {DType::F16, DType::F32}) cases.push_back({bar, cache});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizedModel, testing::ValuesIn(all_cases()),
                         [](const auto& tested) {
                           return std::string(tested.param.bar.type) + "_cache_" +
                                  std::string(dtype_info(tested.param.cache).name);
                         });

}  // namespace
}  // namespace strata::test
