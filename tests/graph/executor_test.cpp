#include "runtime/graph/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "backends/registry.h"
#include "runtime/graph/builder.h"

namespace strata::test {
namespace {

constexpr std::int64_t kDim = 64;
constexpr std::int64_t kWide = 96;
constexpr std::int32_t kTokens = 5;

using Floats = std::vector<float>;

Floats random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  Floats values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

/// Serves f32 matrices in blocks of `block_rows` rows and counts what is out.
class CountingSource final : public WeightSource {
 public:
  explicit CountingSource(std::int64_t block_rows) : block_rows_(block_rows) {}

  WeightBinding add(Floats& values, Shape shape) {
    WeightBinding binding;
    const auto tensor = static_cast<std::uint32_t>(tensors_.size());
    tensors_.emplace_back();
    const bool cut = shape.rank == 2 && block_rows_ > 0;
    const std::int64_t step = cut ? block_rows_ : shape.rows();
    for (std::int64_t first = 0; first < shape.rows(); first += step) {
      Lease lease;
      lease.first_row = first;
      lease.block = {tensor, static_cast<std::uint32_t>(tensors_.back().size())};
      Shape part = shape;
      if (cut) part[0] = std::min(step, shape.rows() - first);
      lease.view = dense_view(reinterpret_cast<std::byte*>(values.data() + first * shape.columns()),
                              {DType::F32, Layout::rows, part});
      tensors_.back().push_back(lease);
      binding.blocks.push_back(lease.block);
    }
    return binding;
  }
  Lease acquire(BlockId block, Stream&) override {
    ++acquired;
    most_out = std::max(most_out, ++out_);
    ++held_[{block.tensor, block.block}];
    return tensors_[block.tensor][block.block];
  }
  void release(const Lease& lease, const Event& last_use) override {
    EXPECT_NE(last_use.stream, nullptr);
    EXPECT_GE(last_use.ticket, last_ticket_);
    last_ticket_ = last_use.ticket;
    --out_;
    const std::pair key{lease.block.tensor, lease.block.block};
    EXPECT_GE(--held_[key], 0);
  }
  int out() const { return out_; }

  int acquired = 0;
  int most_out = 0;

 private:
  std::int64_t block_rows_;
  int out_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> held_;
  std::vector<std::vector<Lease>> tensors_;
};

// down(swiglu(gate(norm(x)), up(norm(x)) + bias)) + x
Graph feed_forward() {
  GraphBuilder g(
      8,
      [](std::string_view name) -> std::optional<TensorDesc> {
        if (name == "norm") return TensorDesc{DType::F32, Layout::rows, {kDim}};
        if (name == "bias") return TensorDesc{DType::F32, Layout::rows, {kWide}};
        if (name == "down") return TensorDesc{DType::F32, Layout::rows, {kDim, kWide}};
        return TensorDesc{DType::F32, Layout::rows, {kWide, kDim}};
      },
      "test");
  const Value x = g.input(kDim);
  const Value h = g.rms_norm(x, g.weight("norm"), 1e-5F);
  const Value gate = g.linear(h, g.weight("gate"));
  const Value up = g.linear(h, g.weight("up"), g.weight("bias"));
  return g.finish(g.add(x, g.linear(g.swiglu(gate, up), g.weight("down"))));
}

struct Weights {
  Floats norm = random_floats(kDim, 1);
  Floats gate = random_floats(kWide * kDim, 2);
  Floats up = random_floats(kWide * kDim, 3);
  Floats bias = random_floats(kWide, 4);
  Floats down = random_floats(kDim * kWide, 5);
  Floats& of(const std::string& name) {
    if (name == "norm") return norm;
    if (name == "gate") return gate;
    if (name == "up") return up;
    return name == "bias" ? bias : down;
  }
};

double dot(const float* w, const std::vector<double>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += w[i] * x[i];
  return sum;
}

std::vector<double> reference_row(const float* x, const Weights& w) {
  double squares = 0;
  for (std::int64_t i = 0; i < kDim; ++i) squares += double{x[i]} * x[i];
  std::vector<double> h;
  for (std::size_t i = 0; i < kDim; ++i)
    h.push_back(x[i] / std::sqrt(squares / kDim + 1e-5F) * w.norm[i]);
  std::vector<double> mid;
  for (std::size_t r = 0; r < kWide; ++r) {
    const double gate = dot(&w.gate[r * kDim], h);
    mid.push_back(gate / (1 + std::exp(-gate)) * (dot(&w.up[r * kDim], h) + w.bias[r]));
  }
  std::vector<double> out;
  for (std::size_t r = 0; r < kDim; ++r) out.push_back(x[r] + dot(&w.down[r * kWide], mid));
  return out;
}

struct Outcome {
  Floats out;
  int acquired = 0;
  int most_out = 0;
  int left_out = 0;
  std::vector<OpSample> trace;
};

struct How {
  bool traced = false;
  bool fuse = true;
};

Outcome run_feed_forward(std::int64_t block_rows, Floats x, Weights& weights, How how = {}) {
  const auto device = open_device("cpu", {2});
  const auto stream = device->open_stream(StreamRole::compute);
  const Plan plan = make_plan(feed_forward(), *device, {.fuse = how.fuse});
  CountingSource source(block_rows);
  std::vector<WeightBinding> bindings;
  for (const WeightSlot& slot : plan.weights)
    bindings.push_back(source.add(weights.of(slot.name), slot.desc.shape));
  const Buffer arena = device->allocate(plan.arena_bytes, MemoryKind::device);
  Executor executor(*stream, source, {arena.data(), arena.bytes(), MemoryKind::device});
  Outcome run;
  // Capacity 8, of which 5 rows live; the rest must stay untouched.
  run.out.assign(8 * kDim, -77.0F);
  x.resize(8 * kDim);
  const TensorDesc desc{DType::F32, Layout::rows, {8, kDim}};
  if (how.traced) executor.set_trace(&run.trace);
  executor.set_layer(3);
  executor.run(plan,
               {dense_view(reinterpret_cast<std::byte*>(x.data()), desc),
                dense_view(reinterpret_cast<std::byte*>(run.out.data()), desc),
                bindings,
                {},
                {}},
               {kTokens, 0});
  run.acquired = source.acquired;
  run.most_out = source.most_out;
  run.left_out = source.out();
  return run;
}

TEST(Executor, AgreesWithADoubleReference) {
  Weights weights;
  const Floats x = random_floats(kTokens * kDim, 9);
  const Outcome run = run_feed_forward(0, x, weights);
  for (std::int32_t t = 0; t < kTokens; ++t) {
    const std::vector<double> want = reference_row(&x[static_cast<std::size_t>(t) * kDim], weights);
    double size = 0;
    for (double value : want) size = std::max(size, std::abs(value));
    for (std::size_t i = 0; i < kDim; ++i)
      EXPECT_NEAR(run.out[static_cast<std::size_t>(t) * kDim + i], want[i],
                  // Three sums of at most 96 products, each rounded: 96 * 2^-24 relative apiece.
                  3 * 96 * std::ldexp(1.0, -24) * size);
  }
  for (std::size_t i = kTokens * kDim; i < run.out.size(); ++i) EXPECT_EQ(run.out[i], -77.0F);
}

TEST(Executor, RowBlocksGiveTheSameBits) {
  Weights weights;
  const Floats x = random_floats(kTokens * kDim, 10);
  const Outcome whole = run_feed_forward(0, x, weights);
  for (const std::int64_t block_rows : {0, 16, 32, 48, 1000}) {
    for (const bool fuse : {true, false}) {
      const Outcome cut = run_feed_forward(block_rows, x, weights, {false, fuse});
      EXPECT_EQ(std::memcmp(whole.out.data(), cut.out.data(), whole.out.size() * sizeof(float)), 0)
          << block_rows << " rows a block" << (fuse ? "" : ", primitives only");
    }
  }
}

TEST(Executor, LeasesAreReturnedAsTheyWereTaken) {
  Weights weights;
  const Outcome whole = run_feed_forward(0, random_floats(kTokens * kDim, 11), weights);
  EXPECT_EQ(whole.acquired, 5);
  EXPECT_EQ(whole.left_out, 0);
  EXPECT_LE(whole.most_out, 3);  // a block of each matrix of a group, and a bias
  const Outcome cut = run_feed_forward(16, random_floats(kTokens * kDim, 11), weights);
  EXPECT_EQ(cut.acquired, 2 + 2 * kWide / 16 + kDim / 16);
  EXPECT_EQ(cut.left_out, 0);
  EXPECT_LE(cut.most_out, 3);
}

TEST(Executor, TraceHasASamplePerOp) {
  Weights weights;
  const auto kinds = [&](bool fuse) {
    std::vector<OpKind> all;
    for (const OpSample& sample :
         run_feed_forward(0, random_floats(kTokens * kDim, 12), weights, {true, fuse}).trace)
      all.push_back(sample.kind);
    return all;
  };
  using enum OpKind;
  EXPECT_EQ(kinds(false), (std::vector{RmsNorm, Linear, Linear, SwiGlu, Linear, Add}));
  EXPECT_EQ(kinds(true), (std::vector{RmsNorm, LinearGroup, SwiGlu, Linear}));
  const Outcome run = run_feed_forward(0, random_floats(kTokens * kDim, 12), weights, {true, true});
  std::int64_t before = 0;
  for (std::size_t i = 0; i < run.trace.size(); ++i) {
    EXPECT_EQ(run.trace[i].layer, 3);
    EXPECT_LE(before, run.trace[i].begin_ns);
    EXPECT_LE(run.trace[i].begin_ns, run.trace[i].end_ns);
    before = run.trace[i].end_ns;
  }
}

}  // namespace
}  // namespace strata::test
