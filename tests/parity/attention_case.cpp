#include "tests/parity/attention_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "tests/reference/attention.h"
#include "tests/reference/cache_codec.h"

namespace strata::test {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

// The same keys (or values) twice: as the op reads them, in pages, and as numbers.
struct CacheSide {
  HostTensor pages;
  std::vector<std::vector<reference::Rows>> rows;  // [sequence][kv head][position]
};

int context_of(const SequencePart& part) { return part.past + part.count; }

int pages_per_sequence(const AttentionCase& c) {
  int longest = 0;
  for (const SequencePart& part : c.parts) longest = std::max(longest, context_of(part));
  return (longest + c.page_tokens - 1) / c.page_tokens + 1;
}

CacheSide fill_cache(const AttentionCase& c, DType dtype, const StepBlock& step, float largest,
                     std::mt19937& random) {
  const auto sequences = static_cast<std::int64_t>(c.parts.size());
  const std::int64_t pages = sequences * pages_per_sequence(c);
  CacheSide side{HostTensor({dtype, Layout::rows, {pages, c.kv_heads, c.page_tokens, c.head_dim}}),
                 {}};
  std::uniform_real_distribution<float> values(-largest, largest);
  std::vector<float> row(static_cast<std::size_t>(c.head_dim));
  side.rows.resize(c.parts.size());
  for (std::size_t s = 0; s < c.parts.size(); ++s) {
    side.rows[s].resize(static_cast<std::size_t>(c.kv_heads));
    for (int p = 0; p < context_of(c.parts[s]); ++p) {
      const std::int64_t page = step.state().pages(static_cast<int>(s))[p / c.page_tokens];
      for (int h = 0; h < c.kv_heads; ++h) {
        for (float& x : row) x = values(random);
        const std::vector<std::byte> bytes = reference::encode_row(dtype, row);
        std::memcpy(
            side.pages.view().row((page * c.kv_heads + h) * c.page_tokens + p % c.page_tokens),
            bytes.data(), bytes.size());
        side.rows[s][static_cast<std::size_t>(h)].push_back(reference::decode_row(dtype, bytes));
      }
    }
  }
  return side;
}

StepBlock make_step(const AttentionCase& c, std::mt19937& random) {
  int tokens = 0;
  for (const SequencePart& part : c.parts) tokens += part.count;
  const auto sequences = static_cast<std::int32_t>(c.parts.size());
  StepBlock step({tokens, sequences, pages_per_sequence(c), c.page_tokens});
  std::vector<std::int32_t> pages(static_cast<std::size_t>(sequences * pages_per_sequence(c)));
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), random);
  std::copy(pages.begin(), pages.end(), step.state().pages(0));
  std::vector<std::pair<int, int>> order;  // (round, sequence): by rounds when interleaved
  for (std::int32_t s = 0; s < sequences; ++s)
    for (int i = 0; i < c.parts[static_cast<std::size_t>(s)].count; ++i) order.emplace_back(i, s);
  if (c.interleaved) std::sort(order.begin(), order.end());
  for (const auto& [round, s] : order)
    step.add_token(s, c.parts[static_cast<std::size_t>(s)].past + round);
  if (c.padding)
    for (int t = 0; t < tokens; t += 3) step.state().positions()[t] = -1;
  return step;
}

// A score is a sum of head_dim products, then scaled; its absolute error
// is a relative one of its exponential, which adds two units of its own. Keys and values are summed
// by positions, and every page rescales what came before.
double relative_tolerance(const Device& device, const AttentionCase& c,
                          const reference::AttentionResult& want, std::size_t keys) {
  const double score_error = want.largest_terms * (sum_roundings(device, c.head_dim) + 2);
  const double pages = static_cast<double>(keys) / c.page_tokens + 2;
  return kEps *
         (2 * score_error + static_cast<double>(keys) + function_slack(device) * (6 * pages + 8));
}

void check_head(const Device& device, const AttentionCase& c, const float* got,
                const reference::AttentionResult& want, std::size_t keys) {
  const double tolerance = relative_tolerance(device, c, want, keys);
  for (std::size_t d = 0; d < want.out.size(); ++d)
    ASSERT_NEAR(static_cast<double>(got[d]), want.out[d], tolerance * want.spread[d])
        << "dimension " << d;
}

void check_token(const Device& device, const AttentionCase& c, const StepBlock& step,
                 const HostTensor& q, const CacheSide& k, const CacheSide& v, const HostTensor& out,
                 std::int64_t t) {
  const auto s = static_cast<std::size_t>(step.state().sequences()[t]);
  const reference::Visible sees =
      reference::visible_positions(step.state().positions()[t], c.window);
  const auto part = [&](const reference::Rows& rows) {
    return reference::Rows(rows.begin() + static_cast<std::ptrdiff_t>(sees.first),
                           rows.begin() + static_cast<std::ptrdiff_t>(sees.last));
  };
  for (int h = 0; h < c.heads; ++h) {
    SCOPED_TRACE("token " + std::to_string(t) + ", head " + std::to_string(h));
    const auto kv_head = static_cast<std::size_t>(h / (c.heads / c.kv_heads));
    const float* query = q.row(t) + h * c.head_dim;
    const reference::AttentionResult want = reference::attend(
        {query, query + c.head_dim}, part(k.rows[s][kv_head]), part(v.rows[s][kv_head]),
        static_cast<double>(1.0F / std::sqrt(static_cast<float>(c.head_dim))));
    check_head(device, c, out.row(t) + h * c.head_dim, want, sees.last - sees.first);
  }
}

// The operands of a run.
struct Operation {
  StepBlock step;
  CacheSide k;
  CacheSide v;
  HostTensor q;
  Attention attributes;

  std::int64_t tokens() const { return step.state().token_count; }
  std::vector<TensorView> in() const {
    return {q.view(), k.pages.view(), v.pages.view(), step.view()};
  }
};

Operation make_operation(const AttentionCase& c) {
  std::mt19937 random(static_cast<unsigned>(c.head_dim * 31 + c.page_tokens * 7 + c.heads));
  StepBlock step = make_step(c, random);
  CacheSide k = fill_cache(c, c.k_dtype, step, 1.0F, random);
  CacheSide v = fill_cache(c, c.v_dtype, step, 2.0F, random);
  HostTensor q = HostTensor::f32(step.state().token_count, c.heads * c.head_dim, 64);
  q.randomize(random, c.q_largest);
  const float scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim));
  return {std::move(step),
          std::move(k),
          std::move(v),
          std::move(q),
          {c.heads, c.kv_heads, c.head_dim, scale, c.window}};
}

}  // namespace

void check_attention(Device& device, const AttentionCase& c) {
  SCOPED_TRACE("head_dim " + std::to_string(c.head_dim) + ", heads " + std::to_string(c.heads) +
               "/" + std::to_string(c.kv_heads) + ", page " + std::to_string(c.page_tokens) +
               ", window " + std::to_string(c.window) + ", K " +
               std::string(dtype_info(c.k_dtype).name) + ", V " +
               std::string(dtype_info(c.v_dtype).name));
  const Operation op = make_operation(c);
  const HostTensor out = HostTensor::f32(op.tokens(), c.heads * c.head_dim, 128);
  run_op(device, op.attributes, op.in(), {}, {out.view()});
  ASSERT_TRUE(out.guards_intact());
  for (std::int64_t t = 0; t < op.tokens(); ++t) {
    check_token(device, c, op.step, op.q, op.k, op.v, out, t);
    if (testing::Test::HasFatalFailure()) return;
  }
}

bool check_attention_layout(Device& device, const AttentionCase& c, Layout layout) {
  const Operation op = make_operation(c);
  const std::int64_t columns = c.heads * c.head_dim;
  const TensorDesc desc{activation_dtype(layout), layout, {op.tokens(), columns}};
  const HostTensor got(desc);
  if (!op_supports(device, op.attributes, op.in(), {}, {got.view()})) return false;
  const HostTensor plain = HostTensor::f32(op.tokens(), columns);
  const HostTensor want(desc);
  run_op(device, op.attributes, op.in(), {}, {plain.view()});
  run_op(device, Quantize{}, {plain.view()}, {}, {want.view()});
  run_op(device, op.attributes, op.in(), {}, {got.view()});
  EXPECT_TRUE(got.guards_intact());
  EXPECT_EQ(got.bytes(), want.bytes()) << layout_name(layout) << ", head_dim " << c.head_dim;
  return true;
}

}  // namespace strata::test
