// Views of a recorded step have its capacity, and the step tells how many rows are real: behind
// them ops write zeros, or nothing to the cache, whatever ids and positions stand there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/parity/op_run.h"

namespace strata::test {
namespace {

constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 32;
constexpr int kPageTokens = 16;
constexpr int kPages = 6;  // per sequence
constexpr int kSequences = 2;

/// A step of which only the first `live` of `capacity` tokens are there.
StepBlock partial_step(int capacity, int live) {
  StepBlock step({capacity, kSequences, kPages, kPageTokens});
  std::iota(step.state().pages(0), step.state().pages(0) + kSequences * kPages, 0);
  for (int t = 0; t < live; ++t) step.add_token(t % kSequences, 40 + t / kSequences, 3 * t);
  for (int t = 0; t < live; t += 2) step.want_row(t);
  for (int t = live; t < capacity; ++t) {
    step.state().tokens()[t] = 0x7f7f7f7f;
    step.state().positions()[t] = 0x7f7f7f7f;
    step.state().sequences()[t] = -0x7f7f7f7f;
  }
  for (int r = step.state().row_count; r < capacity; ++r) step.state().rows()[r] = 0x7f7f7f7f;
  return step;
}

HostTensor random_rows(std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 random(seed);
  HostTensor x = HostTensor::f32(rows, columns);
  x.randomize(random);
  return x;
}

// The first `live` rows are those of `want`; the others are zeros.
void expect_rows(const HostTensor& got, const HostTensor& want, std::int64_t live) {
  EXPECT_TRUE(got.guards_intact());
  for (std::int64_t r = 0; r < got.view().rows(); ++r)
    for (std::int64_t c = 0; c < got.view().columns(); ++c)
      ASSERT_EQ(got.row(r)[c], r < live ? want.row(r)[c] : 0.0F) << "row " << r << ", column " << c;
}

HostTensor pages_of(DType dtype) {
  return HostTensor({dtype, Layout::rows, {kSequences * kPages, kKvHeads, kPageTokens, kHeadDim}});
}

void fill_f32_pages(const HostTensor& pages, unsigned seed) {
  std::mt19937 random(seed);
  pages.randomize(random);
}

// Capacities on both sides of where ops choose another kernel, and less than all tokens.
struct Extent {
  int capacity;
  int live;
};
constexpr Extent kExtents[] = {{8, 5}, {40, 11}, {70, 33}, {4, 0}};

TEST(Capacity, EmbedAndGatherRows) {
  for_each_device(1, [](Device& device) {
    for (const auto [capacity, live] : kExtents) {
      const StepBlock step = partial_step(capacity, live);
      const HostTensor table = random_rows(3 * 70, 96, 1);
      const HostTensor got = HostTensor::f32(capacity, 96);
      HostTensor want = HostTensor::f32(capacity, 96);
      for (int t = 0; t < live; ++t) std::copy_n(table.row(3 * t), 96, want.row(t));
      run_op(device, Embed{}, {table.view(), step.view()}, {}, {got.view()});
      expect_rows(got, want, live);
      const HostTensor gathered = HostTensor::f32(capacity, 96);
      for (int r = 0; r < step.state().row_count; ++r)
        std::copy_n(table.row(2 * r), 96, want.row(r));
      run_op(device, GatherRows{}, {table.view(), step.view()}, {}, {gathered.view()});
      expect_rows(gathered, want, step.state().row_count);
    }
  });
}

TEST(Capacity, RopeAppendAndItsParts) {
  for_each_device(1, [](Device& device) {
    const Rope rope{RopeStyle::half_split, kHeadDim, kHeadDim, 1.0F};
    HostTensor inv_freq({DType::F32, Layout::rows, {kHeadDim / 2}});
    for (int i = 0; i < kHeadDim / 2; ++i)
      inv_freq.row(0)[i] = std::pow(1e4F, -2.0F * static_cast<float>(i) / kHeadDim);
    for (const auto [capacity, live] : kExtents) {
      for (DType dtype : {DType::F16, DType::Q8_0}) {
        const StepBlock step = partial_step(capacity, live);
        const HostTensor q = random_rows(capacity, kHeads * kHeadDim, 2);
        const HostTensor k = random_rows(capacity, kKvHeads * kHeadDim, 3);
        // Everything of the live rows alone, and at capacity.
        std::vector<std::byte> caches[2];
        HostTensor turned[2] = {HostTensor::f32(capacity, kHeads * kHeadDim),
                                HostTensor::f32(capacity, kHeads * kHeadDim)};
        for (int all = 0; all < 2; ++all) {
          const int rows = all == 1 ? capacity : std::max(live, 1);
          if (all == 0 && live == 0) continue;
          const HostTensor k_pages = pages_of(dtype);
          const HostTensor v_pages = pages_of(dtype);
          run_op(device, RopeAppend{rope, kKvHeads, 1e-6F},
                 {q.rows(0, rows),
                  k.rows(0, rows),
                  k.rows(0, rows),
                  {},
                  {},
                  inv_freq.view(),
                  step.view()},
                 {k_pages.view(), v_pages.view()}, {turned[all].rows(0, rows)});
          EXPECT_TRUE(k_pages.guards_intact() && v_pages.guards_intact());
          caches[all] = k_pages.bytes();
          const std::vector<std::byte> v_bytes = v_pages.bytes();
          caches[all].insert(caches[all].end(), v_bytes.begin(), v_bytes.end());
          const HostTensor plain = pages_of(dtype);
          run_op(device, KvAppend{kKvHeads, kHeadDim},
                 {k.rows(0, rows), k.rows(0, rows), step.view()}, {plain.view(), v_pages.view()},
                 {});
          EXPECT_TRUE(v_pages.bytes() == v_bytes) << "values, appended on their own";
        }
        EXPECT_TRUE(live == 0 || caches[0] == caches[1]) << "capacity " << capacity;
        expect_rows(turned[1], turned[0], live);
        const HostTensor alone = HostTensor::f32(capacity, kHeads * kHeadDim);
        run_op(device, rope, {q.view(), inv_freq.view(), step.view()}, {}, {alone.view()});
        expect_rows(alone, turned[0], live);
      }
    }
  });
}

TEST(Capacity, Attention) {
  for_each_device(1, [](Device& device) {
    for (const auto [capacity, live] : kExtents) {
      for (int window : {0, 20}) {
        const StepBlock step = partial_step(capacity, live);
        const HostTensor q = random_rows(capacity, kHeads * kHeadDim, 4);
        const HostTensor pages = pages_of(DType::F32);
        fill_f32_pages(pages, 5);
        const Attention attention{kHeads, kKvHeads, kHeadDim, 0.2F, window};
        const HostTensor got = HostTensor::f32(capacity, kHeads * kHeadDim);
        run_op(device, attention, {q.view(), pages.view(), pages.view(), step.view()}, {},
               {got.view()});
        // The same kernel on the same tokens, and nothing behind them.
        StepBlock padded = partial_step(capacity, live);
        padded.state().token_count = capacity;
        std::fill(padded.state().positions() + live, padded.state().positions() + capacity, -1);
        std::fill(padded.state().sequences() + live, padded.state().sequences() + capacity, 0);
        const HostTensor want = HostTensor::f32(capacity, kHeads * kHeadDim);
        run_op(device, attention, {q.view(), pages.view(), pages.view(), padded.view()}, {},
               {want.view()});
        expect_rows(got, want, live);
        EXPECT_TRUE(live == 0 || got.row(0)[0] != 0.0F);
      }
    }
  });
}

// A step that was recorded once, with other tokens at each replay.
TEST(Capacity, ARecordedStepReadsItsTokensWhenItIsReplayed) {
  for_each_device(1, [](Device& device) {
    const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
    if (!stream->can_record()) GTEST_SKIP() << "SKIP: the device records no work";
    constexpr int kCapacity = 4;
    constexpr std::int64_t kDim = 64;
    const HostTensor table = random_rows(200, kDim, 6);
    StepBlock step = partial_step(kCapacity, 0);
    const OpDesc desc{
        Embed{},
        {{DType::F32, Layout::rows, {200, kDim}}, {DType::I8, Layout::rows, step.view().shape}},
        {},
        {{DType::F32, Layout::rows, {kCapacity, kDim}}}};
    const PreparedOp op = device.ops()[OpKind::Embed].prepare(device, desc);
    const auto on_device = [&](const TensorDesc& like) {
      return device.allocate(byte_size(like), MemoryKind::device);
    };
    const Buffer table_at = on_device(desc.in[0]);
    const Buffer step_at = on_device(desc.in[1]);
    const Buffer out_at = on_device(desc.out[0]);
    const auto span = [](const Buffer& b) { return BufferSpan{b.data(), b.bytes(), b.kind()}; };
    const auto host = [](std::byte* data, std::size_t bytes) {
      return BufferSpan{data, bytes, MemoryKind::host};
    };
    stream->copy(span(table_at), host(table.view().data, table_at.bytes()));
    stream->synchronize();
    stream->begin_recording();
    const TensorView in[] = {dense_view(table_at.data(), desc.in[0]),
                             dense_view(step_at.data(), desc.in[1])};
    const TensorView out[] = {dense_view(out_at.data(), desc.out[0])};
    op.run(*stream, op, {in, {}, out}, {});
    const std::unique_ptr<Recording> recording = stream->end_recording();
    const HostTensor got = HostTensor::f32(kCapacity, kDim);
    for (int live : {3, 0, 4, 1}) {
      step.clear_tokens();
      for (int t = 0; t < live; ++t) step.add_token(0, t, 20 * live + t);
      stream->copy(span(step_at), host(step.view().data, step_at.bytes()));
      stream->replay(*recording);
      stream->copy(host(got.view().data, out_at.bytes()), span(out_at));
      stream->synchronize();
      for (int t = 0; t < kCapacity; ++t)
        for (int c = 0; c < kDim; ++c)
          ASSERT_EQ(got.row(t)[c], t < live ? table.row(20 * live + t)[c] : 0.0F)
              << live << " tokens, row " << t;
    }
  });
}

}  // namespace
}  // namespace strata::test
