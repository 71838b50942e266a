#include "runtime/graph/passes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/registry.h"
#include "runtime/core/error.h"
#include "runtime/graph/builder.h"
#include "runtime/graph/edit.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

WeightLookup all_of(DType dtype) {
  return [dtype](std::string_view name) -> std::optional<TensorDesc> {
    if (name == "norm") return TensorDesc{DType::F32, Layout::rows, {64}};
    return TensorDesc{dtype, Layout::rows, {64, 64}};
  };
}

// norm(x) goes to q, k and v.
Graph three_projections(DType dtype) {
  GraphBuilder g(4, all_of(dtype), "test");
  const Value h = g.rms_norm(g.input(64), g.weight("norm"), 1e-5F);
  const Value q = g.linear(h, g.weight("q"));
  const Value k = g.linear(h, g.weight("k"));
  const Value v = g.linear(h, g.weight("v"));
  return g.finish(g.add(q, g.add(k, v)));
}

int count(const Graph& graph, OpKind kind) {
  int found = 0;
  for (const Node& node : graph.nodes) found += kind_of(node) == kind ? 1 : 0;
  return found;
}

class Passes : public testing::Test {
 protected:
  std::unique_ptr<Device> device_ = open_device("cpu", {1});
};

TEST_F(Passes, OneQuantizeIsSharedByAllWhoWantIt) {
  Graph graph = three_projections(DType::Q8_0);
  settle_layouts(graph, *device_, {.fuse = false});
  EXPECT_EQ(count(graph, OpKind::Quantize), 1);
  std::int32_t shared = -1;
  for (const Node& node : graph.nodes) {
    const OpKind kind = kind_of(node);
    if (kind == OpKind::Quantize) shared = node.out[0].id;
    if (kind != OpKind::Linear) continue;
    EXPECT_EQ(node.in[0].id, shared);
    EXPECT_EQ(graph[node.in[0]].desc.layout, Layout::quantized);
    EXPECT_EQ(graph[node.in[1]].desc.layout, Layout::panels16);
  }
  EXPECT_EQ(graph.weights.size(), 4u);  // each projection in its packed layout only, and the norm
}

TEST_F(Passes, WhatMakesAnActivationWritesItAsItsReadersWant) {
  Graph graph = three_projections(DType::Q8_0);
  settle_layouts(graph, *device_, {});
  EXPECT_EQ(count(graph, OpKind::Quantize), 0);
  ASSERT_EQ(kind_of(graph.nodes[0]), OpKind::RmsNorm);
  EXPECT_EQ(graph[graph.nodes[0].out[0]].desc.layout, Layout::quantized);
  for (std::size_t i = 1; i <= 3; ++i) EXPECT_EQ(graph.nodes[i].in[0].id, graph.nodes[0].out[0].id);
}

// The norm's result is read as f32 too, so it is quantized beside.
TEST_F(Passes, AnActivationWantedInTwoLayoutsIsQuantizedApart) {
  GraphBuilder g(4, all_of(DType::Q8_0), "test");
  const Value h = g.rms_norm(g.input(64), g.weight("norm"), 1e-5F);
  Graph graph = g.finish(g.swiglu(h, g.linear(h, g.weight("q"))));
  settle_layouts(graph, *device_, {});
  EXPECT_EQ(count(graph, OpKind::Quantize), 1);
  EXPECT_EQ(graph[graph.nodes[0].out[0]].desc.layout, Layout::rows);
}

// A matmul's output may be cut with its row blocks, which quantized rows cannot be.
TEST_F(Passes, AMatmulsOutputStaysF32) {
  GraphBuilder g(4, all_of(DType::Q8_0), "test");
  Graph graph = g.finish(g.linear(g.linear(g.input(64), g.weight("a")), g.weight("b")));
  settle_layouts(graph, *device_, {});
  EXPECT_EQ(count(graph, OpKind::Quantize), 2);
}

TEST_F(Passes, FloatWeightsStayAsTheyAre) {
  Graph graph = three_projections(DType::F16);
  settle_layouts(graph, *device_, {});
  EXPECT_EQ(count(graph, OpKind::Quantize), 0);
  for (const WeightSlot& slot : graph.weights) EXPECT_EQ(slot.desc.layout, Layout::rows);
}

TEST_F(Passes, WithoutPackingWeightsKeepTheFilesLayout) {
  Graph graph = three_projections(DType::Q4_0);
  settle_layouts(graph, *device_, {.pack_weights = false, .fuse = false});
  EXPECT_EQ(count(graph, OpKind::Quantize), 1);
  EXPECT_EQ(graph.weights.size(), 4u);
  for (const WeightSlot& slot : graph.weights) EXPECT_EQ(slot.desc.layout, Layout::rows);
}

TEST_F(Passes, AWeightInTwoLayoutsIsTwoSlots) {
  GraphBuilder g(4, all_of(DType::Q8_0), "test");
  const Value x = g.embed(g.weight("table"));
  Graph graph = g.finish(g.add(x, g.linear(x, g.weight("table"))));
  ASSERT_EQ(graph.weights.size(), 1u);
  settle_layouts(graph, *device_, {});
  ASSERT_EQ(graph.weights.size(), 2u);
  EXPECT_EQ(graph.weights[0].name, "table");
  EXPECT_EQ(graph.weights[1].name, "table");
  EXPECT_NE(graph.weights[0].desc.layout, graph.weights[1].desc.layout);
  for (const Node& node : graph.nodes)
    for (Value v : node.in)
      if (v && graph[v].kind == ValueKind::weight) {
        EXPECT_EQ(graph.weights[static_cast<std::size_t>(graph[v].slot)].desc, graph[v].desc);
      }
}

TEST_F(Passes, WhatNoNodeReadsIsDropped) {
  GraphBuilder g(4, all_of(DType::F32), "test");
  g.weight("unused");
  Graph graph = g.finish(g.linear(g.input(64), g.weight("q")));
  settle_layouts(graph, *device_, {});
  ASSERT_EQ(graph.weights.size(), 1u);
  EXPECT_EQ(graph.weights[0].name, "q");
  EXPECT_EQ(graph[graph.nodes[0].in[1]].slot, 0);
}

TEST_F(Passes, AnUnsupportedOpIsNamedWithItsTypesAndDevice) {
  GraphBuilder g(4, all_of(DType::I32), "test");  // no matmul computes with I32 weights
  Graph graph = g.finish(g.linear(g.input(64), g.weight("q")));
  try {
    make_plan(graph, *device_, {});
    FAIL() << "planned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported_op);
    EXPECT_THAT(error.what(), HasSubstr("linear"));
    EXPECT_THAT(error.what(), HasSubstr("I32"));
    EXPECT_THAT(error.what(), HasSubstr("F32"));
    EXPECT_THAT(error.what(), HasSubstr("cpu:0"));
  }
}

// Values that are alive at the same node lie apart, and so does a node's workspace.
TEST_F(Passes, PlannedActivationsDoNotOverlap) {
  const Plan plan = make_plan(three_projections(DType::Q8_0), *device_, {});
  for (const PlannedNode& node : plan.nodes) {
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    auto note = [&](std::int32_t id) {
      if (id < 0) return;
      const PlannedValue& value = plan.values[static_cast<std::size_t>(id)];
      if (value.kind == ValueKind::activation)
        ranges.emplace_back(value.offset, value.offset + byte_size(value.desc));
    };
    for (std::int32_t id : node.in) note(id);
    for (std::int32_t id : node.out) note(id);
    if (node.op.workspace_bytes > 0)
      ranges.emplace_back(node.workspace_offset, node.workspace_offset + node.op.workspace_bytes);
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i)
      EXPECT_LE(ranges[i - 1].second, ranges[i].first) << node.op.desc.info().name;
    ASSERT_FALSE(ranges.empty());
    EXPECT_LE(ranges.back().second, plan.arena_bytes);
  }
}

}  // namespace
}  // namespace strata::test
