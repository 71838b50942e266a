#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bench/kernels/bench.h"
#include "bench/kernels/prepared.h"
#include "bench/kernels/random_weights.h"
#include "bench/kernels/shapes.h"

namespace strata::bench {
namespace {

TensorDesc f32(Shape shape) { return {DType::F32, Layout::rows, shape}; }

// linear or linear_experts over a weight, in the file's layouts.
OpDesc described(const WeightShape& shape, DType dtype, std::int64_t batch) {
  OpDesc desc;
  if (shape.experts == 0) {
    desc.attributes = Linear{};
    desc.in = {f32({batch, shape.k}), {dtype, Layout::rows, {shape.n, shape.k}}, {}, {}};
    desc.out = {f32({batch, shape.n})};
  } else {
    const std::int64_t routes = batch * shape.used;
    desc.attributes = LinearExperts{shape.used, true};
    desc.in = {f32({batch, shape.k}),
               {dtype, Layout::rows, {shape.experts, shape.n, shape.k}},
               {DType::I32, Layout::rows, {shape.experts + 1}},
               {DType::I32, Layout::rows, {routes}}};
    desc.out = {f32({routes, shape.n})};
  }
  return desc;
}

// x as the kernel wants it, from random numbers.
Tensor activations(cpu::CpuDevice& device, const TensorDesc& wanted) {
  Tensor x = make_tensor(device, f32(wanted.shape));
  fill_uniform({x.view.as<float>(), static_cast<std::size_t>(wanted.shape.elements())}, 7);
  if (wanted.layout == Layout::rows) return x;
  Tensor out = make_tensor(device, wanted);
  OpDesc quantize;
  quantize.attributes = Quantize{};
  quantize.in = {f32(wanted.shape)};
  quantize.out = {wanted};
  const std::optional<Prepared> op = Prepared::make(device, quantize);
  const auto stream = device.open_stream(StreamRole::compute);
  if (op) op->run(*stream, {{&x.view, 1}, {}, {&out.view, 1}});
  return out;
}

// Which experts the tokens use: set s of `sets` begins at another expert, so that one token's sets
// read all of the experts in turn.
struct Routes {
  Tensor offsets;
  Tensor order;
  int experts_read = 0;
};

Routes make_routes(cpu::CpuDevice& device, const WeightShape& shape, std::int64_t batch, int set) {
  Routes routes{make_tensor(device, {DType::I32, Layout::rows, {shape.experts + 1}}),
                make_tensor(device, {DType::I32, Layout::rows, {batch * shape.used}})};
  std::vector<std::vector<std::int32_t>> of(static_cast<std::size_t>(shape.experts));
  for (std::int64_t t = 0; t < batch; ++t) {
    // Steps of an odd number visit all experts before one comes again.
    const std::int64_t first = set * shape.used + t * 37;
    for (std::int64_t c = 0; c < shape.used; ++c)
      of[static_cast<std::size_t>((first + c * (2 * (t % 4) + 1)) % shape.experts)].push_back(
          static_cast<std::int32_t>(t * shape.used + c));
  }
  auto* offsets = routes.offsets.view.as<std::int32_t>();
  auto* order = routes.order.view.as<std::int32_t>();
  std::int32_t at = 0;
  for (std::size_t e = 0; e < of.size(); ++e) {
    offsets[e] = at;
    for (std::int32_t route : of[e]) order[at++] = route;
    routes.experts_read += of[e].empty() ? 0 : 1;
  }
  offsets[of.size()] = at;
  return routes;
}

void set_peak(Work& work, Layout x) {
  if (x == Layout::quantized) {
    work.peak = &cpu::Kernels::peak_int8;
    work.peak_name = "int8";
  } else if (x == Layout::rounded) {
    work.peak = &cpu::Kernels::peak_bf16;
    work.peak_name = "bf16";
  } else {
    work.peak = &cpu::Kernels::peak_f32;
    work.peak_name = "f32";
  }
}

void bench_experts(Bench& bench, const WeightShape& shape, const OpDesc& desc, const Copies& w,
                   const Prepared& op, Work work) {
  cpu::CpuDevice& device = bench.device();
  const std::int64_t batch = desc.in[0].shape[0];
  const Tensor x = activations(device, desc.in[0]);
  const Tensor out = make_tensor(device, desc.out[0]);
  std::vector<Routes> sets;
  for (int s = 0; s < shape.experts / shape.used; ++s)
    sets.push_back(make_routes(device, shape, batch, s));
  work.bytes = static_cast<double>(byte_size(desc.in[1])) / shape.experts * sets[0].experts_read;
  work.operations = 2.0 * static_cast<double>(batch * shape.used * shape.n * shape.k);
  const auto stream = device.open_stream(StreamRole::compute);
  bench.measure(work, [&](int i) {
    const Routes& routes = sets[static_cast<std::size_t>(i) % sets.size()];
    const std::size_t copy = static_cast<std::size_t>(i) / sets.size() % w.views.size();
    const TensorView in[] = {x.view, w.views[copy], routes.offsets.view, routes.order.view};
    op.run(*stream, {in, {}, {&out.view, 1}});
  });
}

void bench_linear(Bench& bench, const OpDesc& desc, const Copies& w, const Prepared& op,
                  Work work) {
  cpu::CpuDevice& device = bench.device();
  const Tensor x = activations(device, desc.in[0]);
  const Tensor out = make_tensor(device, desc.out[0]);
  work.bytes = static_cast<double>(byte_size(desc.in[1]));
  work.operations = 2.0 * static_cast<double>(desc.in[0].shape[0] * desc.in[1].shape.elements());
  const auto stream = device.open_stream(StreamRole::compute);
  bench.measure(work, [&](int i) {
    const TensorView in[] = {x.view, w.views[static_cast<std::size_t>(i) % w.views.size()], {}, {}};
    op.run(*stream, {in, {}, {&out.view, 1}});
  });
}

void bench_weight(Bench& bench, const WeightShape& shape, DType dtype) {
  Copies w;
  for (std::int64_t batch : bench.options().batches) {
    Work work;
    work.op = shape.experts == 0 ? "linear" : "linear_experts";
    work.dtype = dtype_info(dtype).name;
    work.shape = fmt::format("{}/{} {}x{}", shape.model, shape.name, shape.n, shape.k);
    work.batch = batch;
    const std::optional<OpDesc> desc =
        in_wanted_layouts(bench.device(), described(shape, dtype, batch), 1);
    const std::optional<Prepared> op = desc ? Prepared::make(bench.device(), *desc) : std::nullopt;
    if (!op) {
      bench.skip(work, "no kernel");
      continue;
    }
    if (w.views.empty()) {
      const std::size_t bytes = byte_size(desc->in[1]);
      w = random_copies(bench.device(), desc->in[1],
                        static_cast<int>((bench.rotated_bytes() + bytes - 1) / bytes));
    }
    work.kernel = op->op().kernel;
    set_peak(work, desc->in[0].layout);
    if (shape.experts > 0)
      bench_experts(bench, shape, *desc, w, *op, work);
    else
      bench_linear(bench, *desc, w, *op, work);
  }
}

}  // namespace

void bench_matmuls(Bench& bench) {
  for (const WeightShape& shape : kWeightShapes) {
    if (!wants_shape(bench.options(), fmt::format("{}/{}", shape.model, shape.name))) continue;
    for (DType dtype : bench.options().dtypes)
      if (shape.k % dtype_info(dtype).block_elements == 0) bench_weight(bench, shape, dtype);
  }
}

}  // namespace strata::bench
