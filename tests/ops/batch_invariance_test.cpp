// A token's result has the same bits whatever else is in the batch, however its prompt is cut into
// chunks, and with any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "tests/ops/cpu_devices.h"
#include "tests/parity/op_run.h"

namespace strata::test {
namespace {

constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 96;
constexpr int kRotDim = 80;
constexpr int kPageTokens = 16;
constexpr int kSequences = 3;
constexpr int kLengths[kSequences] = {130, 40, 1};
constexpr int kPages = 10;  // per sequence

using Bits = std::vector<std::byte>;
using Results = std::map<std::pair<int, int>, Bits>;  // by (sequence, position)

// What a chain of ops gives for each token: norm per head, rope, append, attention, MoE routing and
// SwiGLU, so that every op that sees more than one token is in it.
class Chain {
 public:
  Chain(cpu::CpuDevice& device, DType cache, int window)
      : device_(device),
        window_(window),
        k_pages_({cache, Layout::rows, {kSequences * kPages, kKvHeads, kPageTokens, kHeadDim}}),
        v_pages_({cache, Layout::rows, {kSequences * kPages, kKvHeads, kPageTokens, kHeadDim}}),
        weight_({DType::F32, Layout::rows, {kHeadDim}}),
        inv_freq_({DType::F32, Layout::rows, {kRotDim / 2}}) {
    std::mt19937 random(77);
    weight_.randomize(random);
    for (int i = 0; i < kRotDim / 2; ++i)
      inv_freq_.row(0)[i] = static_cast<float>(std::pow(1e4, -i / 40.0));
  }

  void run(const std::vector<std::pair<int, int>>& batch, Results& results) {
    const auto tokens = static_cast<std::int64_t>(batch.size());
    StepBlock step({static_cast<std::int32_t>(tokens), kSequences, kPages, kPageTokens});
    for (int p = 0; p < kSequences * kPages; ++p) step.state().pages(0)[p] = (p * 7) % 30;
    for (const auto& [sequence, position] : batch) step.add_token(sequence, position);
    const HostTensor q = inputs(batch, kHeads * kHeadDim, 1);
    const HostTensor k = inputs(batch, kKvHeads * kHeadDim, 2);
    const HostTensor v = inputs(batch, kKvHeads * kHeadDim, 3);
    const HostTensor q_normed = HostTensor::f32(tokens, kHeads * kHeadDim);
    const HostTensor q_turned = HostTensor::f32(tokens, kHeads * kHeadDim);
    const HostTensor k_turned = HostTensor::f32(tokens, kKvHeads * kHeadDim);
    const Rope rope{RopeStyle::half_split, kHeadDim, kRotDim, 1.0F};
    run_op(device_, RmsNorm{1e-6F}, {q.view(), weight_.view()}, {}, {q_normed.view()});
    run_op(device_, rope, {q_normed.view(), inv_freq_.view(), step.view()}, {}, {q_turned.view()});
    run_op(device_, rope, {k.view(), inv_freq_.view(), step.view()}, {}, {k_turned.view()});
    run_op(device_, KvAppend{kKvHeads, kHeadDim}, {k_turned.view(), v.view(), step.view()},
           {k_pages_.view(), v_pages_.view()}, {});
    const HostTensor out = HostTensor::f32(tokens, kHeads * kHeadDim);
    run_op(device_, Attention{kHeads, kKvHeads, kHeadDim, 0.1F, window_},
           {q_turned.view(), k_pages_.view(), v_pages_.view(), step.view()}, {}, {out.view()});
    const HostTensor gated = HostTensor::f32(tokens, kHeads * kHeadDim);
    run_op(device_, SwiGlu{}, {out.view(), q.view()}, {}, {gated.view()});
    const HostTensor ids = HostTensor::i32(tokens, 4);
    const HostTensor weights = HostTensor::f32(tokens, 4);
    run_op(device_, MoeRoute{kHeads * kHeadDim, 4, false}, {gated.view()}, {},
           {ids.view(), weights.view()});
    for (std::int64_t t = 0; t < tokens; ++t) {
      Bits bits;
      for (const HostTensor* part : {&out, &gated, &ids, &weights}) {
        const auto* row = part->view().row(t);
        bits.insert(bits.end(), row, row + part->view().row_stride);
      }
      results[batch[static_cast<std::size_t>(t)]] = bits;
    }
  }

 private:
  // A token's numbers depend on nothing but the token.
  static HostTensor inputs(const std::vector<std::pair<int, int>>& batch, std::int64_t columns,
                           unsigned salt) {
    HostTensor x = HostTensor::f32(static_cast<std::int64_t>(batch.size()), columns);
    for (std::size_t t = 0; t < batch.size(); ++t) {
      const auto [sequence, position] = batch[t];
      std::mt19937 random(static_cast<unsigned>(sequence * 1000 + position) * 4 + salt);
      std::uniform_real_distribution<float> values(-2.0F, 2.0F);
      for (std::int64_t c = 0; c < columns; ++c)
        x.row(static_cast<std::int64_t>(t))[c] = values(random);
    }
    return x;
  }

  cpu::CpuDevice& device_;
  int window_;
  HostTensor k_pages_;
  HostTensor v_pages_;
  HostTensor weight_;
  HostTensor inv_freq_;
};

// Each sequence on its own, `chunk` tokens at a time.
Results run_alone(cpu::CpuDevice& device, DType cache, int window, int chunk) {
  Chain chain(device, cache, window);
  Results results;
  for (int s = 0; s < kSequences; ++s) {
    for (int begin = 0; begin < kLengths[s]; begin += chunk) {
      std::vector<std::pair<int, int>> batch;
      for (int p = begin; p < std::min(begin + chunk, kLengths[s]); ++p) batch.emplace_back(s, p);
      chain.run(batch, results);
    }
  }
  return results;
}

// All sequences in one batch, up to `chunk` tokens of each at a time.
Results run_together(cpu::CpuDevice& device, DType cache, int window, int chunk) {
  Chain chain(device, cache, window);
  Results results;
  for (int begin = 0; begin < kLengths[0]; begin += chunk) {
    std::vector<std::pair<int, int>> batch;
    for (int s = 0; s < kSequences; ++s)
      for (int p = begin; p < std::min(begin + chunk, kLengths[s]); ++p) batch.emplace_back(s, p);
    chain.run(batch, results);
  }
  return results;
}

TEST(BatchInvariance, ChunksAndCompanyChangeNoBit) {
  for_each_isa(2, [](cpu::CpuDevice& device) {
    for (DType cache : {DType::F32, DType::F16, DType::Q8_0}) {
      for (int window : {0, 20}) {
        const Results whole = run_alone(device, cache, window, 130);
        for (int chunk : {1, 7, 64})
          EXPECT_TRUE(run_alone(device, cache, window, chunk) == whole) << "chunks of " << chunk;
        for (int chunk : {5, 130})
          EXPECT_TRUE(run_together(device, cache, window, chunk) == whole)
              << "in company, chunks of " << chunk;
      }
    }
  });
}

TEST(BatchInvariance, ThreadsChangeNoBit) {
  std::size_t count = 0;
  const cpu::IsaVariant* variants = cpu::isa_variants(&count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!variants[i].supported) continue;
    cpu::CpuDevice one({1, variants[i].name});
    const Results alone = run_together(one, DType::F16, 0, 64);
    for (int threads : {2, 3, 5}) {
      cpu::CpuDevice device({threads, variants[i].name});
      EXPECT_TRUE(run_together(device, DType::F16, 0, 64) == alone)
          << variants[i].name << ", " << threads << " threads";
    }
  }
}

// One long sequence in a cache that is already filled, and queries at its end.
class LongContext {
 public:
  LongContext(int context, int head_dim, int kv_heads, DType cache)
      : context_(context), head_dim_(head_dim), kv_heads_(kv_heads) {
    const std::int64_t pages = (context + 63) / 64;
    const TensorDesc desc{cache, Layout::rows, {pages, kv_heads, 64, head_dim}};
    k_pages_.emplace(desc);
    v_pages_.emplace(desc);
    std::mt19937 random(5);
    const HostTensor k = HostTensor::f32(context, kv_heads * head_dim);
    const HostTensor v = HostTensor::f32(context, kv_heads * head_dim);
    k.randomize(random, 2.0F);
    v.randomize(random, 2.0F);
    StepBlock step = block(context);
    for (int p = 0; p < context; ++p) step.add_token(0, p);
    cpu::CpuDevice device({1, nullptr});
    run_op(device, KvAppend{kv_heads, head_dim}, {k.view(), v.view(), step.view()},
           {k_pages_->view(), v_pages_->view()}, {});
  }

  /// Attention of the last `tokens` positions, `chunk` of them at a time.
  Bits run(cpu::CpuDevice& device, int heads, int window, int tokens, int chunk) const {
    Bits bits;
    for (int begin = context_ - tokens; begin < context_; begin += chunk) {
      const int count = std::min(chunk, context_ - begin);
      StepBlock step = block(count);
      const HostTensor q = HostTensor::f32(count, heads * head_dim_);
      const HostTensor out = HostTensor::f32(count, heads * head_dim_);
      for (int i = 0; i < count; ++i) {
        step.add_token(0, begin + i);
        std::mt19937 random(static_cast<unsigned>(begin + i));
        std::uniform_real_distribution<float> values(-2.0F, 2.0F);
        for (int c = 0; c < heads * head_dim_; ++c) q.row(i)[c] = values(random);
      }
      run_op(device, Attention{heads, kv_heads_, head_dim_, 0.3F, window},
             {q.view(), k_pages_->view(), v_pages_->view(), step.view()}, {}, {out.view()});
      const Bits part = out.bytes();
      bits.insert(bits.end(), part.begin(), part.end());
    }
    return bits;
  }

 private:
  StepBlock block(int tokens) const {
    StepBlock step({tokens, 1, (context_ + 63) / 64, 64});
    for (int p = 0; p < (context_ + 63) / 64; ++p) step.state().pages(0)[p] = p;
    return step;
  }

  int context_;
  int head_dim_;
  int kv_heads_;
  std::optional<HostTensor> k_pages_;
  std::optional<HostTensor> v_pages_;
};

// A context of several chunks, split between threads or not, its queries together or one by one.
TEST(BatchInvariance, SplittingALongContextChangesNoBit) {
  for (DType cache : {DType::F32, DType::F16, DType::BF16, DType::Q8_0}) {
    const LongContext context(1300, 64, 2, cache);
    for_each_isa(1, [&](cpu::CpuDevice& one) {
      for (int window : {0, 700}) {
        for (int heads : {2, 6}) {
          const Bits whole = context.run(one, heads, window, 20, 20);
          for (int chunk : {1, 3, 17})
            EXPECT_TRUE(context.run(one, heads, window, 20, chunk) == whole) << chunk;
          for (int threads : {2, 5}) {
            cpu::CpuDevice device({threads, one.kernels().isa});
            for (int chunk : {1, 3, 20})
              EXPECT_TRUE(context.run(device, heads, window, 20, chunk) == whole)
                  << threads << " threads, chunks of " << chunk;
          }
        }
      }
    });
  }
}

// More chunks than there are places for their results: they are done in turns.
TEST(BatchInvariance, TurnsOfALongContextChangeNoBit) {
  const LongContext context(34000, 8, 1, DType::F16);
  for_each_isa(1, [&](cpu::CpuDevice& one) {
    cpu::CpuDevice device({3, one.kernels().isa});
    for (int window : {0, 33300})
      for (int chunk : {1, 20})
        EXPECT_TRUE(context.run(device, 2, window, 20, chunk) ==
                    context.run(one, 2, window, 20, 20))
            << "window " << window << ", chunks of " << chunk;
  });
}

}  // namespace
}  // namespace strata::test
