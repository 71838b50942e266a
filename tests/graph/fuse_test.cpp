#include "runtime/graph/fuse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "runtime/core/device.h"
#include "runtime/graph/builder.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/op_impl.h"

namespace strata::test {
namespace {

constexpr std::int64_t kDim = 64;
constexpr std::int64_t kHeadDim = 32;

/// A device that says that it can do everything but the kinds in `lacking`; nothing runs on it.
class PlanningDevice final : public Device {
 public:
  explicit PlanningDevice(std::vector<OpKind> lacking = {}) {
    for (OpImpl& impl : table_.ops)
      impl.supports = [](const OpDesc&, const DeviceInfo&) { return true; };
    for (const OpKind kind : lacking) table_.ops[static_cast<std::size_t>(kind)] = {};
  }
  OpImpl& operator[](OpKind kind) { return table_.ops[static_cast<std::size_t>(kind)]; }

  MemoryUse memory() const override { return {}; }
  Buffer allocate(std::size_t, MemoryKind) override { return {}; }
  std::optional<Buffer> import_host(std::span<const std::byte>) override { return {}; }
  std::unique_ptr<Stream> open_stream(StreamRole) override { return nullptr; }
  const OpTable& ops() const override { return table_; }

 private:
  OpTable table_;
};

// Weights by the first letter of their name: n_orm, h_ead norm, f_requencies, b_ias, i (Q4_0) and
// j (Q8_0) matrices, e_xperts, r_outer, all others F32 matrices.
WeightLookup lookup() {
  return [](std::string_view name) -> std::optional<TensorDesc> {
    switch (name[0]) {
      case 'n':
        return TensorDesc{DType::F32, Layout::rows, {kDim}};
      case 'b':
        return TensorDesc{DType::F32, Layout::rows, {kDim}};
      case 'h':
        return TensorDesc{DType::F32, Layout::rows, {kHeadDim}};
      case 'f':
        return TensorDesc{DType::F32, Layout::rows, {kHeadDim / 2}};
      case 'i':
        return TensorDesc{DType::Q4_0, Layout::rows, {kDim, kDim}};
      case 'j':
        return TensorDesc{DType::Q8_0, Layout::rows, {kDim, kDim}};
      case 'e':
        return TensorDesc{DType::F32, Layout::rows, {4, kDim, kDim}};
      case 'r':
        return TensorDesc{DType::F32, Layout::rows, {4, kDim}};
      default:
        return TensorDesc{DType::F32, Layout::rows, {kDim, kDim}};
    }
  };
}

struct Builder : GraphBuilder {
  Builder() : GraphBuilder(4, lookup(), "test") {}
  Value project(Value x, std::string_view w, std::string_view bias = {}) {
    return linear(x, weight(w), bias.empty() ? Value{} : weight(bias));
  }
};

std::vector<OpKind> kinds(const Graph& graph) {
  std::vector<OpKind> all;
  for (const Node& node : graph.nodes) all.push_back(kind_of(node));
  return all;
}

std::vector<OpKind> fused(Graph graph, Device& device) {
  fuse(graph, device);
  return kinds(graph);
}

using enum OpKind;
using Kinds = std::vector<OpKind>;

// What follows holds for a graph of any pass: an operand is written before it is read.
void expect_in_order(const Graph& graph) {
  std::vector<bool> written(graph.values.size(), false);
  for (std::size_t i = 0; i < graph.values.size(); ++i)
    written[i] =
        graph.values[i].kind != ValueKind::activation && graph.values[i].kind != ValueKind::output;
  for (const Node& node : graph.nodes) {
    for (const Value v : node.in)
      EXPECT_TRUE(!v || written[static_cast<std::size_t>(v.id)])
          << kOps[node.attributes.index()].name;
    for (const Value v : node.out)
      if (v) written[static_cast<std::size_t>(v.id)] = true;
  }
}

struct LayerOptions {
  bool norms = true;
  float q_eps = 1e-6F;
  strata::Rope q_rope{RopeStyle::half_split, kHeadDim, kHeadDim, 1.0F};
};

// A layer of Qwen3: the pattern that all of this is for.
Graph layer(const LayerOptions& options = {}) {
  Builder g;
  const strata::Rope rope{RopeStyle::half_split, kHeadDim, kHeadDim, 1.0F};
  const TensorDesc pages{DType::F16, Layout::rows, {1, kDim / kHeadDim, 16, kHeadDim}};
  const Value k_pages = g.state("k", pages);
  const Value v_pages = g.state("v", pages);
  Value x = g.input(kDim);
  Value h = g.rms_norm(x, g.weight("norm"), 1e-6F);
  Value q = g.project(h, "q");
  Value k = g.project(h, "k");
  const Value v = g.project(h, "v");
  if (options.norms) {
    q = g.rms_norm(q, g.weight("head_q"), options.q_eps);
    k = g.rms_norm(k, g.weight("head_k"), 1e-6F);
  }
  q = g.rope(q, g.weight("freq"), options.q_rope);
  k = g.rope(k, g.weight("freq"), rope);
  g.kv_append(k, v, k_pages, v_pages, {kDim / kHeadDim, kHeadDim});
  const Value a = g.attention(q, k_pages, v_pages, {2, 2, kHeadDim, 1.0F, 0});
  x = g.add(x, g.project(a, "output"));
  h = g.rms_norm(x, g.weight("norm2"), 1e-6F);
  const Value mid = g.swiglu(g.project(h, "gate"), g.project(h, "up"));
  return g.finish(g.add(x, g.project(mid, "down")));
}

TEST(Fuse, ALayerBecomesSevenOps) {
  PlanningDevice device;
  Graph graph = layer();
  fuse(graph, device);
  EXPECT_EQ(kinds(graph),
            (Kinds{RmsNorm, LinearGroup, RopeAttention, Linear, RmsNorm, LinearGated, Linear}));
  expect_in_order(graph);
  const Node& attention = graph.nodes[2];
  const auto& both = std::get<strata::RopeAttention>(attention.attributes);
  EXPECT_EQ(both.append.eps, 1e-6F);
  EXPECT_EQ(both.append.kv_heads, 2);
  EXPECT_EQ(both.attention.heads, 2);
  EXPECT_EQ(both.attention.scale, 1.0F);
  EXPECT_EQ(infer_outputs(attention.attributes, describe(graph, attention).in),
            describe(graph, attention).out);
  EXPECT_EQ(attention.inout.size(), 2U);
}

TEST(Fuse, WithoutAttentionThatAppendsALayerBecomesEightOps) {
  PlanningDevice device({RopeAttention});
  Graph graph = layer();
  fuse(graph, device);
  EXPECT_EQ(kinds(graph), (Kinds{RmsNorm, LinearGroup, RopeAppend, Attention, Linear, RmsNorm,
                                 LinearGated, Linear}));
  expect_in_order(graph);
  const Node& append = graph.nodes[2];
  EXPECT_EQ(std::get<strata::RopeAppend>(append.attributes).eps, 1e-6F);
  EXPECT_EQ(std::get<strata::RopeAppend>(append.attributes).kv_heads, 2);
  EXPECT_EQ(infer_outputs(append.attributes, describe(graph, append).in),
            describe(graph, append).out);
  EXPECT_EQ(graph[graph.nodes.back().out[0]].kind, ValueKind::output);
}

// The sum behind attention is read by the norm and, as a residual, by the layer's last sum.
TEST(Fuse, ALayerOfWholeMatricesHasItsSecondNormInASum) {
  PlanningDevice device;
  Graph graph = layer();
  fuse(graph, device, true);
  EXPECT_EQ(kinds(graph),
            (Kinds{RmsNorm, LinearGroup, RopeAttention, LinearNorm, LinearGated, Linear}));
  expect_in_order(graph);
  const Node& sum = graph.nodes[3];
  EXPECT_EQ(std::get<strata::LinearNorm>(sum.attributes).eps, 1e-6F);
  EXPECT_EQ(infer_outputs(sum.attributes, describe(graph, sum).in), describe(graph, sum).out);
  EXPECT_EQ(graph.nodes[4].in[0].id, sum.out[1].id);
  EXPECT_EQ(graph.nodes[5].in[3].id, sum.out[0].id);
  PlanningDevice without({LinearNorm});
  Graph apart = layer();
  fuse(apart, without, true);
  EXPECT_EQ(kinds(apart), fused(layer(), device));
}

TEST(Fuse, OnlyNormsOfWholeSumsAreJoined) {
  PlanningDevice device;
  const auto all = [&](const auto& make) {
    Builder g;
    Graph graph = make(g, g.input(kDim));
    fuse(graph, device, true);
    expect_in_order(graph);
    return kinds(graph);
  };
  const auto sum = [](Builder& g, Value x) { return g.add(x, g.project(x, "output", "bias")); };
  EXPECT_EQ(all([&](Builder& g, Value x) {
              return g.finish(g.rms_norm(sum(g, x), g.weight("norm"), 1e-5F));
            }),
            (Kinds{LinearNorm}));
  EXPECT_EQ(all([&](Builder& g, Value x) {  // over each head
              return g.finish(g.rms_norm(sum(g, x), g.weight("head"), 1e-5F));
            }),
            (Kinds{Linear, RmsNorm}));
  EXPECT_EQ(all([&](Builder& g, Value x) {  // no residual
              return g.finish(g.rms_norm(g.project(x, "output"), g.weight("norm"), 1e-5F));
            }),
            (Kinds{Linear, RmsNorm}));
  EXPECT_EQ(all([&](Builder& g, Value x) {  // two norms: the first is joined
              const Value y = sum(g, x);
              const Value a = g.rms_norm(y, g.weight("norm"), 1e-5F);
              return g.finish(g.add(a, g.rms_norm(y, g.weight("norm2"), 1e-5F)));
            }),
            (Kinds{LinearNorm, RmsNorm, Add}));
}

TEST(Fuse, ADeviceWithoutFusedOpsKeepsThePrimitives) {
  PlanningDevice device({LinearGroup, RopeAppend, RopeAttention, LinearGated});
  device[Linear].supports = [](const OpDesc& op, const DeviceInfo&) {
    return op.in[3].shape.rank == 0;
  };
  EXPECT_EQ(fused(layer(), device), kinds(layer()));
}

TEST(Fuse, EachOpIsAskedForOnItsOwn) {
  PlanningDevice no_group({LinearGroup});
  EXPECT_EQ(fused(layer(), no_group), (Kinds{RmsNorm, Linear, Linear, Linear, RopeAttention, Linear,
                                             RmsNorm, LinearGated, Linear}));
  PlanningDevice no_gated({LinearGated});
  EXPECT_EQ(fused(layer(), no_gated), (Kinds{RmsNorm, LinearGroup, RopeAttention, Linear, RmsNorm,
                                             LinearGroup, SwiGlu, Linear}));
}

TEST(Fuse, RopesThatDifferAreNotJoined) {
  PlanningDevice device;
  Graph graph = layer({.q_rope = {RopeStyle::interleaved, kHeadDim, kHeadDim, 1.0F}});
  const Kinds all = fused(graph, device);
  EXPECT_EQ(std::count(all.begin(), all.end(), RopeAppend), 0);
  EXPECT_EQ(std::count(all.begin(), all.end(), RopeAttention), 0);
  EXPECT_EQ(std::count(all.begin(), all.end(), Rope), 2);
}

TEST(Fuse, HeadNormsOfTwoEpsilonsStay) {
  PlanningDevice device;
  Graph graph = layer({.q_eps = 1e-5F});
  fuse(graph, device);
  EXPECT_EQ(kinds(graph), (Kinds{RmsNorm, LinearGroup, RmsNorm, RmsNorm, RopeAttention, Linear,
                                 RmsNorm, LinearGated, Linear}));
  EXPECT_FALSE(graph.nodes[4].in[3]);
  EXPECT_FALSE(graph.nodes[4].in[4]);
  expect_in_order(graph);
  const Kinds without = fused(layer({.norms = false}), device);
  EXPECT_EQ(without,
            (Kinds{RmsNorm, LinearGroup, RopeAttention, Linear, RmsNorm, LinearGated, Linear}));
}

// Turned queries that are read twice, or a cache that something else is put to in between.
TEST(Fuse, AttentionAppendsOnlyWhatItAloneReads) {
  PlanningDevice device;
  for (const bool twice : {true, false}) {
    Builder g;
    const strata::Rope rope{RopeStyle::half_split, kHeadDim, kHeadDim, 1.0F};
    const TensorDesc pages{DType::F16, Layout::rows, {1, kDim / kHeadDim, 16, kHeadDim}};
    const Value k_pages = g.state("k", pages);
    const Value v_pages = g.state("v", pages);
    const Value x = g.input(kDim);
    const Value q = g.rope(x, g.weight("freq"), rope);
    const Value k = g.rope(g.project(x, "k"), g.weight("freq"), rope);
    g.kv_append(k, x, k_pages, v_pages, {kDim / kHeadDim, kHeadDim});
    if (!twice) g.kv_append(x, x, k_pages, v_pages, {kDim / kHeadDim, kHeadDim});
    const Value a = g.attention(q, k_pages, v_pages, {2, 2, kHeadDim, 1.0F, 0});
    Graph graph = g.finish(g.add(a, twice ? q : x));
    fuse(graph, device);
    const Kinds all = kinds(graph);
    EXPECT_EQ(std::count(all.begin(), all.end(), RopeAppend), 1);
    EXPECT_EQ(std::count(all.begin(), all.end(), Attention), 1);
    expect_in_order(graph);
  }
}

TEST(Fuse, WhatAnotherOpReadsStays) {
  PlanningDevice device;
  {
    Builder g;  // the gate is read twice
    const Value x = g.input(kDim);
    const Value gate = g.project(x, "gate");
    Graph graph = g.finish(g.add(gate, g.swiglu(gate, g.project(x, "up"))));
    EXPECT_EQ(fused(graph, device), (Kinds{LinearGroup, SwiGlu, Add}));
  }
  {
    Builder g;  // the projection is what the graph hands out, and the sum's part
    const Value x = g.input(kDim);
    const Value y = g.project(x, "q");
    g.swiglu(y, x);
    EXPECT_EQ(fused(g.finish(g.add(x, y)), device), (Kinds{Linear, SwiGlu, Add}));
  }
  {
    Builder g;  // both sides of the sum are one value
    const Value y = g.project(g.input(kDim), "q");
    EXPECT_EQ(fused(g.finish(g.add(y, y)), device), (Kinds{Linear, Add}));
  }
}

TEST(Fuse, AResidualIsEitherSideOfTheSum) {
  PlanningDevice device;
  for (const bool left : {true, false}) {
    Builder g;
    const Value x = g.input(kDim);
    const Value y = g.project(x, "q", "bias");
    Graph graph = g.finish(left ? g.add(y, x) : g.add(x, y));
    fuse(graph, device);
    ASSERT_EQ(kinds(graph), (Kinds{Linear}));
    EXPECT_EQ(graph.nodes[0].in[3].id, x.id);
    EXPECT_TRUE(graph.nodes[0].in[2]) << "the bias stays";
  }
}

TEST(Fuse, ALinearTakesOneResidual) {
  PlanningDevice device;
  Builder g;
  const Value x = g.input(kDim);
  Graph graph = g.finish(g.add(x, g.add(x, g.project(x, "q"))));
  EXPECT_EQ(fused(graph, device), (Kinds{Linear, Add}));
}

TEST(Fuse, GatesWithABiasAreAGroup) {
  PlanningDevice device;
  Builder g;
  const Value x = g.input(kDim);
  const Value gate = g.project(x, "gate", "bias");
  Graph graph = g.finish(g.swiglu(gate, g.project(x, "up")));
  fuse(graph, device);
  ASSERT_EQ(kinds(graph), (Kinds{LinearGroup, SwiGlu}));
  EXPECT_TRUE(graph.nodes[0].in[4]);
  EXPECT_FALSE(graph.nodes[0].in[5]);
  EXPECT_FALSE(graph.nodes[0].out[2]);
}

TEST(Fuse, GatesOfTwoTypesAreAGroup) {
  PlanningDevice device;
  Builder g;
  const Value x = g.input(kDim);
  Graph graph = g.finish(g.swiglu(g.project(x, "i_gate"), g.project(x, "j_up")));
  EXPECT_EQ(fused(graph, device), (Kinds{LinearGroup, SwiGlu}));
}

TEST(Fuse, ExpertsAreGatedPairsToo) {
  PlanningDevice device;
  Builder g;
  const Value x = g.input(kDim);
  const ValuePair routed = g.moe_route(g.project(x, "router"), {4, 2, true});
  const ValuePair sorted = g.moe_sort(routed.first, strata::MoeSort{4});
  const strata::LinearExperts shared{2, true};
  const Value mid = g.swiglu(g.linear_experts(x, g.weight("exps_gate"), sorted, shared),
                             g.linear_experts(x, g.weight("exps_up"), sorted, shared));
  const Value down = g.linear_experts(mid, g.weight("exps_down"), sorted, {2, false});
  Graph graph = g.finish(g.moe_combine(down, routed.second, {2}));
  fuse(graph, device);
  EXPECT_EQ(kinds(graph),
            (Kinds{Linear, MoeRoute, MoeSort, LinearExpertsGated, LinearExperts, MoeCombine}));
  EXPECT_TRUE(std::get<strata::LinearExpertsGated>(graph.nodes[3].attributes).shared_input);
  expect_in_order(graph);
}

// The CPU multiplies F32 weights and Q4_0 weights with different activations.
TEST(Fuse, AGroupReadsXInOneLayout) {
  const auto cpu = open_device("cpu", {1});
  Builder g;
  const Value x = g.input(kDim);
  const Value a = g.project(x, "i_a");
  const Value b = g.project(x, "plain");
  const Value c = g.project(x, "j_c");
  Graph graph = g.finish(g.swiglu(g.swiglu(a, b), c));
  fuse(graph, *cpu);
  EXPECT_EQ(kinds(graph), (Kinds{LinearGroup, Linear, SwiGlu, SwiGlu}));
  EXPECT_EQ(graph[graph.nodes[0].in[1]].desc.dtype, DType::Q4_0);
  EXPECT_EQ(graph[graph.nodes[0].in[2]].desc.dtype, DType::Q8_0);
  expect_in_order(graph);
}

}  // namespace
}  // namespace strata::test
