#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/kernels/bench.h"
#include "bench/kernels/prepared.h"
#include "bench/kernels/random_weights.h"
#include "bench/kernels/shapes.h"
#include "runtime/ops/step_state.h"

namespace strata::bench {
namespace {

constexpr std::int32_t kPageTokens = 64;  // as the engine has them

// `tokens` new tokens of one sequence behind `depth` cached ones.
Tensor make_step(cpu::CpuDevice& device, std::int32_t tokens, std::int32_t depth,
                 std::int32_t pages) {
  const StepCapacity capacity{tokens, 1, pages, kPageTokens};
  Tensor block = make_tensor(
      device, {DType::I8, Layout::rows, {static_cast<std::int64_t>(step_state_bytes(capacity))}});
  StepState& step = format_step_state(block.view.data, capacity);
  step.token_count = tokens;
  for (std::int32_t t = 0; t < tokens; ++t) {
    step.tokens()[t] = 0;
    step.positions()[t] = depth + t;
    step.sequences()[t] = 0;
  }
  for (std::int32_t p = 0; p < pages; ++p) step.pages(0)[p] = p;
  return block;
}

void bench_case(Bench& bench, const AttentionShape& shape, DType cache, std::int32_t tokens,
                std::int32_t depth) {
  cpu::CpuDevice& device = bench.device();
  const std::int32_t pages = (depth + tokens + kPageTokens - 1) / kPageTokens;
  const TensorDesc kv{cache, Layout::rows, {pages, shape.kv_heads, kPageTokens, shape.head_dim}};
  const TensorDesc q{DType::F32, Layout::rows, {tokens, shape.heads * shape.head_dim}};
  const Tensor step = make_step(device, tokens, depth, pages);
  OpDesc desc;
  desc.attributes = Attention{shape.heads, shape.kv_heads, shape.head_dim,
                              1.0F / std::sqrt(static_cast<float>(shape.head_dim)), 0};
  desc.in = {q, kv, kv, {step.view.dtype, step.view.layout, step.view.shape}};
  desc.out = {q};
  // Keys that the tokens see, all together.
  const double keys = tokens * (depth + (tokens + 1) / 2.0);
  Work work;
  work.op = "attention";
  work.dtype = dtype_info(cache).name;
  work.shape = fmt::format("{} {}/{}x{} at depth {}", shape.model, shape.heads, shape.kv_heads,
                           shape.head_dim, depth);
  work.batch = tokens;
  work.bytes = 2.0 * (depth + tokens) * shape.kv_heads *
               static_cast<double>(row_bytes(cache, shape.head_dim));
  work.operations = 4.0 * keys * shape.heads * shape.head_dim;
  const bool bf16 = bench.ceilings().bf16_flops_per_second > 0;
  work.peak = bf16 ? &cpu::Kernels::peak_bf16 : &cpu::Kernels::peak_f32;
  work.peak_name = bf16 ? "bf16" : "f32";
  const std::optional<Prepared> op = Prepared::make(device, desc);
  if (!op) return bench.skip(work, "no kernel");
  work.kernel = op->op().kernel;
  const auto copies = static_cast<int>(static_cast<double>(bench.rotated_bytes()) / work.bytes) + 1;
  const Copies k = random_copies(device, kv, copies);
  const Copies v = random_copies(device, kv, copies);
  const Tensor x = make_tensor(device, q);
  fill_uniform({x.view.as<float>(), static_cast<std::size_t>(q.shape.elements())}, 3);
  const Tensor out = make_tensor(device, q);
  const auto stream = device.open_stream(StreamRole::compute);
  bench.measure(work, [&](int i) {
    const std::size_t copy = static_cast<std::size_t>(i) % k.views.size();
    const TensorView in[] = {x.view, k.views[copy], v.views[copy], step.view};
    op->run(*stream, {in, {}, {&out.view, 1}});
  });
}

}  // namespace

void bench_attention(Bench& bench) {
  const Options& options = bench.options();
  for (const AttentionShape& shape : kAttentionShapes) {
    if (!wants_shape(options, fmt::format("{}/attention", shape.model))) continue;
    for (DType cache : options.caches)
      for (std::int64_t batch : options.batches)
        if (batch == 1 || batch >= 64)
          for (std::int64_t depth : options.depths)
            bench_case(bench, shape, cache, static_cast<std::int32_t>(batch),
                       static_cast<std::int32_t>(depth));
  }
}

void bench_barrier(Bench& bench) {
  Work work;
  work.op = "barrier";
  work.shape = fmt::format("{} threads", bench.device().pool().size());
  ThreadPool& pool = bench.device().pool();
  bench.measure(work, [&](int) { pool.run([](int, int) {}); });
}

}  // namespace strata::bench
