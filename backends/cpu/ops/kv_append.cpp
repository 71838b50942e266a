#include "backends/cpu/ops/cache.h"
#include "backends/cpu/ops/common.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const KvAppend& append = std::get<KvAppend>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) &&
         is_cache(op.inout[0], append.kv_heads, append.head_dim) &&
         is_cache(op.inout[1], append.kv_heads, append.head_dim);
}

// A token at a negative position is padding: it has no place in the cache.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  CpuStream& s = cpu_stream(stream);
  const KvAppend& append = std::get<KvAppend>(op.desc.attributes);
  const StepState& step = *operands.in[2].as<const StepState>();
  const std::int64_t tokens = operands.in[0].rows();
  auto store = [&](std::int64_t t, std::int64_t page, std::int64_t slot) {
    for (std::size_t side = 0; side < 2; ++side) {
      const TensorView& pages = operands.inout[side];
      const float* row = f32_row(operands.in[side], t);
      for (std::int64_t h = 0; h < append.kv_heads; ++h)
        s.kernels().cache_store(pages.dtype, row + h * append.head_dim, append.head_dim,
                                cache_row(pages, page, h, slot));
    }
  };
  each_share(s, tokens, tokens * operands.in[0].columns(),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t t = begin; t < end; ++t) {
                 const std::int32_t position = step.positions()[t];
                 if (position < 0) continue;
                 store(t, step.pages(step.sequences()[t])[position / step.page_tokens],
                       position % step.page_tokens);
               }
             });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl kv_append_impl{supports, prepare};

}  // namespace strata::cpu
