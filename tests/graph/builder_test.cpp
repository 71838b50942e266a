#include "runtime/graph/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

// q is (8, 16), norm (16), wide does not fit.
std::optional<TensorDesc> lookup(std::string_view name) {
  if (name == "q.weight") return TensorDesc{DType::F32, Layout::rows, {8, 16}};
  if (name == "q.bias") return TensorDesc{DType::F32, Layout::rows, {8}};
  if (name == "norm.weight") return TensorDesc{DType::F32, Layout::rows, {16}};
  if (name == "wide.weight") return TensorDesc{DType::F32, Layout::rows, {8, 17}};
  return std::nullopt;
}

GraphBuilder builder() { return {4, lookup, "layer 3 of llama"}; }

template <class Body>
Error error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::runtime, "no error", ""};
}

TEST(GraphBuilder, MissingWeightIsNamedWithItsContext) {
  GraphBuilder g = builder();
  const Error error = error_of([&] { g.weight("absent.weight"); });
  EXPECT_EQ(error.code(), ErrorCode::bad_model);
  EXPECT_THAT(error.what(), HasSubstr("layer 3 of llama"));
  EXPECT_THAT(error.what(), HasSubstr("\"absent.weight\""));
}

TEST(GraphBuilder, OptionalWeightMayBeAbsent) {
  GraphBuilder g = builder();
  EXPECT_FALSE(g.optional_weight("absent.bias"));
  EXPECT_TRUE(g.optional_weight("q.bias"));
}

TEST(GraphBuilder, TheSameWeightTwiceIsOneSlot) {
  GraphBuilder g = builder();
  const Value x = g.input(16);
  const Value a = g.linear(x, g.weight("q.weight"));
  const Value b = g.linear(x, g.weight("q.weight"), g.optional_weight("q.bias"));
  const Graph graph = g.finish(g.add(a, b));
  ASSERT_EQ(graph.weights.size(), 2u);
  EXPECT_EQ(graph.weights[0].name, "q.weight");
  EXPECT_EQ(graph.weights[1].name, "q.bias");
  EXPECT_EQ(graph.nodes[0].in[1].id, graph.nodes[1].in[1].id);
}

TEST(GraphBuilder, ShapesThatDoNotFitNameTheOpAndTheNumbers) {
  GraphBuilder g = builder();
  const Value x = g.input(16);
  const Error error = error_of([&] { g.linear(x, g.weight("wide.weight")); });
  EXPECT_EQ(error.code(), ErrorCode::bad_model);
  EXPECT_THAT(error.what(), HasSubstr("layer 3 of llama"));
  EXPECT_THAT(error.what(), HasSubstr("linear"));
  EXPECT_THAT(error.what(), HasSubstr("16"));
  EXPECT_THAT(error.what(), HasSubstr("17"));
  EXPECT_EQ(error_of([&] { g.add(x, g.linear(x, g.weight("q.weight"))); }).code(),
            ErrorCode::bad_model);
}

TEST(GraphBuilder, RowsFollowTokensAndWantedRows) {
  GraphBuilder g = builder();
  const Value x = g.input(16);
  const Value gathered = g.gather_rows(x);
  const Graph graph = g.finish(g.linear(gathered, g.weight("q.weight")));
  EXPECT_EQ(graph[x].rows.kind, RowKind::tokens);
  EXPECT_EQ(graph[x].desc.shape, (Shape{4, 16}));
  const ValueInfo& result = graph[graph.nodes.back().out[0]];
  EXPECT_EQ(result.rows.kind, RowKind::wanted);
  EXPECT_EQ(result.kind, ValueKind::output);
  EXPECT_EQ(result.desc.shape, (Shape{4, 8}));
}

TEST(GraphBuilder, RoutesHaveARowPerChoice) {
  GraphBuilder g(
      3,
      [](std::string_view name) -> std::optional<TensorDesc> {
        if (name == "experts") return TensorDesc{DType::F32, Layout::rows, {4, 6, 16}};
        return TensorDesc{DType::F32, Layout::rows, {4, 16}};
      },
      "moe");
  const Value x = g.input(16);
  const ValuePair routed = g.moe_route(g.linear(x, g.weight("router")), MoeRoute{4, 2, true});
  const ValuePair sorted = g.moe_sort(routed.first, MoeSort{4});
  const Value y = g.linear_experts(x, g.weight("experts"), sorted, LinearExperts{2, true});
  const Graph graph = g.finish(g.moe_combine(y, routed.second, MoeCombine{2}));
  EXPECT_EQ(graph[sorted.first].rows.kind, RowKind::fixed);
  EXPECT_EQ(graph[sorted.first].desc.shape, (Shape{1, 5}));
  EXPECT_EQ(graph[sorted.second].rows.per, 2);
  EXPECT_EQ(graph[y].desc.shape, (Shape{6, 6}));
  EXPECT_EQ(graph[y].rows.per, 2);
}

}  // namespace
}  // namespace strata::test
