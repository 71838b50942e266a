#include <algorithm>
#include <atomic>
#include <cmath>

#include "backends/cpu/ops/cache.h"
#include "backends/cpu/ops/common.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

// Consecutive tokens of one sequence that share the conversion of a page to f32.
constexpr std::int64_t kGroupTokens = 16;

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Attention& attention = std::get<Attention>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.out[0]) && attention.window >= 0 &&
         attention.kv_heads > 0 && attention.heads % attention.kv_heads == 0 &&
         is_cache(op.in[1], attention.kv_heads, attention.head_dim) &&
         is_cache(op.in[2], attention.kv_heads, attention.head_dim) &&
         op.in[1].shape[2] == op.in[2].shape[2];
}

constexpr std::int64_t padded(std::int64_t floats) { return (floats + 15) / 16 * 16; }

// One thread's scratch, in floats.
struct Scratch {
  float* k;        // (page_tokens, head_dim)
  float* v;        // (page_tokens, head_dim)
  float* scores;   // (page_tokens)
  float* running;  // (kGroupTokens, heads per kv head, 2): see the kernel attention_page
};

struct ScratchSizes {
  std::int64_t page, scores, running;
  std::int64_t total() const { return 2 * page + scores + running; }
};

ScratchSizes scratch_sizes(const Attention& attention, std::int64_t page_tokens) {
  return {padded(page_tokens * attention.head_dim), padded(page_tokens),
          padded(kGroupTokens * (attention.heads / attention.kv_heads) * 2)};
}

// All that is the same for every work item of a run.
struct Task {
  const Attention& attention;
  const StepState& step;
  const Kernels& kernels;
  const TensorView& q;
  const TensorView& k_pages;
  const TensorView& v_pages;
  const TensorView& out;
  std::int64_t shared_heads;  // query heads per kv head

  std::int64_t page_tokens() const { return k_pages.shape[2]; }
  // Positions [begin, end) that token t sees; none for padding at a negative position.
  Share visible(std::int64_t t) const {
    const std::int64_t end = std::int64_t{step.positions()[t]} + 1;
    if (end <= 0) return {0, 0};
    const std::int64_t window = attention.window;
    return {window > 0 && end > window ? end - window : 0, end};
  }
  float* heads_of(const TensorView& view, std::int64_t t, std::int64_t kv_head) const {
    return f32_row(view, t) + kv_head * shared_heads * attention.head_dim;
  }
};

// Rows [begin, end) of one page and kv head as f32. An f32 cache is read in place.
const float* f32_rows_of(const Task& task, const TensorView& pages, std::int64_t page,
                         std::int64_t kv_head, std::int64_t begin, std::int64_t end,
                         float* scratch) {
  if (pages.dtype == DType::F32)
    return reinterpret_cast<const float*>(cache_row(pages, page, kv_head, 0));
  const std::int64_t dim = task.attention.head_dim;
  task.kernels.dequantize_row(pages.dtype, cache_row(pages, page, kv_head, begin),
                              (end - begin) * dim, scratch + begin * dim);
  return scratch;
}

// Tokens [first, last), all of one sequence, against one page's rows of `kv_head`.
void run_page(const Task& task, std::int64_t first, std::int64_t last, std::int64_t kv_head,
              std::int64_t page_index, Share needed, const Scratch& scratch) {
  const std::int64_t page_begin = page_index * task.page_tokens();
  const std::int64_t page_end = page_begin + task.page_tokens();
  const std::int64_t page = task.step.pages(task.step.sequences()[first])[page_index];
  const std::int64_t begin = std::max(needed.begin, page_begin) - page_begin;
  const std::int64_t end = std::min(needed.end, page_end) - page_begin;
  const float* k = f32_rows_of(task, task.k_pages, page, kv_head, begin, end, scratch.k);
  const float* v = f32_rows_of(task, task.v_pages, page, kv_head, begin, end, scratch.v);
  const std::int64_t dim = task.attention.head_dim;
  for (std::int64_t t = first; t < last; ++t) {
    const Share sees = task.visible(t);
    const std::int64_t from = std::max(sees.begin, page_begin) - page_begin;
    const std::int64_t to = std::min(sees.end, page_end) - page_begin;
    if (from >= to) continue;
    task.kernels.attention_page(task.heads_of(task.q, t, kv_head), k + from * dim, v + from * dim,
                                task.shared_heads, dim, to - from, task.attention.scale,
                                scratch.scores, task.heads_of(task.out, t, kv_head),
                                scratch.running + (t - first) * task.shared_heads * 2);
  }
}

// One work item. The output rows are the accumulators.
void run_group(const Task& task, std::int64_t first, std::int64_t last, std::int64_t kv_head,
               const Scratch& scratch) {
  Share needed{0, 0};  // what any of the tokens sees
  for (std::int64_t t = first; t < last; ++t) {
    const Share sees = task.visible(t);
    if (sees.begin < sees.end)
      needed = needed.begin == needed.end
                   ? sees
                   : Share{std::min(needed.begin, sees.begin), std::max(needed.end, sees.end)};
    std::fill_n(task.heads_of(task.out, t, kv_head), task.shared_heads * task.attention.head_dim,
                0.0F);
  }
  const std::int64_t states = (last - first) * task.shared_heads;
  for (std::int64_t i = 0; i < states; ++i) {
    scratch.running[2 * i] = -INFINITY;
    scratch.running[2 * i + 1] = 0.0F;
  }
  for (std::int64_t page = needed.begin / task.page_tokens();
       page * task.page_tokens() < needed.end; ++page)
    run_page(task, first, last, kv_head, page, needed, scratch);
  for (std::int64_t t = first; t < last; ++t)
    task.kernels.attention_finish(task.heads_of(task.out, t, kv_head),
                                  scratch.running + (t - first) * task.shared_heads * 2,
                                  task.shared_heads, task.attention.head_dim);
}

// Cuts the batch into groups: starts[g] .. starts[g + 1]. Returns how many.
std::int64_t find_groups(const std::int32_t* sequences, std::int64_t tokens, std::int32_t* starts) {
  std::int64_t groups = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool joins =
        groups > 0 && sequences[t] == sequences[t - 1] && t - starts[groups - 1] < kGroupTokens;
    if (!joins) starts[groups++] = static_cast<std::int32_t>(t);
  }
  starts[groups] = static_cast<std::int32_t>(tokens);
  return groups;
}

// Elements of keys that the batch's queries are multiplied with.
std::int64_t elements_seen(const Task& task) {
  std::int64_t positions = 0;
  for (std::int64_t t = 0; t < task.q.rows(); ++t) {
    const Share sees = task.visible(t);
    positions += sees.end - sees.begin;
  }
  return positions * task.q.columns();
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const Attention& attention = std::get<Attention>(op.desc.attributes);
  const Task task{attention,       *operands.in[3].as<const StepState>(),
                  s.kernels(),     operands.in[0],
                  operands.in[1],  operands.in[2],
                  operands.out[0], attention.heads / attention.kv_heads};
  const ScratchSizes sizes = scratch_sizes(attention, task.page_tokens());
  float* scratch = reinterpret_cast<float*>(workspace.data());
  auto* starts = reinterpret_cast<std::int32_t*>(scratch + s.pool().size() * sizes.total());
  const std::int64_t groups = find_groups(task.step.sequences(), task.q.rows(), starts);
  const std::int64_t items = groups * attention.kv_heads;
  // Who is free takes the next item, last tokens first: they see the most. Items do not depend on
  // each other, so who computes one cannot be told from the result.
  std::atomic<std::int64_t> left{items};
  const auto next = [&] { return left.fetch_sub(1, std::memory_order_relaxed) - 1; };
  const auto run_items = [&](int thread, int) {
    float* mine = scratch + thread * sizes.total();
    const Scratch own{mine, mine + sizes.page, mine + 2 * sizes.page,
                      mine + 2 * sizes.page + sizes.scores};
    for (std::int64_t i = next(); i >= 0; i = next()) {
      const std::int32_t* group = starts + i / attention.kv_heads;
      run_group(task, group[0], group[1], i % attention.kv_heads, own);
    }
  };
  if (elements_seen(task) < kWorthAPool)
    run_items(0, 1);
  else
    s.pool().run(run_items);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::int64_t threads = static_cast<CpuDevice&>(device).pool().size();
  const ScratchSizes sizes = scratch_sizes(std::get<Attention>(op.attributes), op.in[1].shape[2]);
  const std::int64_t floats = threads * sizes.total() + op.in[0].shape.rows() + 1;
  return prepared(device, op, run, static_cast<std::size_t>(floats) * sizeof(float));
}

}  // namespace

const OpImpl attention_impl{supports, prepare};

}  // namespace strata::cpu
