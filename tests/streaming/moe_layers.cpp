#include "tests/streaming/moe_layers.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "runtime/core/error.h"
#include "runtime/core/half.h"
#include "runtime/models/blocks.h"

namespace strata::test {
namespace {

constexpr const char* kRouter = "ffn_gate_inp.weight";
constexpr const char* kNames[] = {kRouter, "ffn_gate_exps.weight", "ffn_up_exps.weight",
                                  "ffn_down_exps.weight"};

// Random blocks; scales of about 1/64, so that the layers neither vanish nor grow.
void fill(std::byte* to, const TensorDesc& desc, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  const std::size_t bytes = byte_size(desc);
  if (desc.dtype == DType::F32) {
    for (std::size_t i = 0; i < bytes; i += sizeof(float)) {
      const float value = uniform(random);
      std::memcpy(to + i, &value, sizeof(value));
    }
    return;
  }
  if (desc.dtype == DType::F16) {
    for (std::size_t i = 0; i < bytes; i += 2) {
      const std::uint16_t value = f32_to_f16(uniform(random) * 0.2F);
      std::memcpy(to + i, &value, sizeof(value));
    }
    return;
  }
  const std::size_t block = row_bytes(desc.dtype, 32);  // Q4_0 and Q8_0 begin with their scale
  const std::uint16_t scale = f32_to_f16(desc.dtype == DType::Q8_0 ? 0.002F : 0.03F);
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<std::byte>(random() & 0xff);
  for (std::size_t i = 0; i < bytes; i += block) std::memcpy(to + i, &scale, sizeof(scale));
}

BufferSpan span_of(const Buffer& buffer) { return {buffer.data(), buffer.bytes(), buffer.kind()}; }

BufferSpan host_span(const void* data, std::size_t bytes) {
  return {const_cast<std::byte*>(static_cast<const std::byte*>(data)), bytes, MemoryKind::host};
}

}  // namespace

TensorDesc MoeLayers::desc(const std::string& name) const {
  if (name == kRouter) return {DType::F32, Layout::rows, {experts, dim}};
  if (name == "ffn_down_exps.weight") return {down, Layout::rows, {experts, dim, ffn}};
  return {gate, Layout::rows, {experts, ffn, dim}};
}

FileRange MoeLayers::range(std::int64_t layer, const std::string& name) const {
  FileRange range;
  range.offset = 96;  // tensors need not begin where pages do
  for (std::int64_t i = 0; i <= layer; ++i) {
    for (const char* each : kNames) {
      range.bytes = byte_size(desc(each));
      if (i == layer && each == name) return range;
      range.offset += (range.bytes + 31) / 32 * 32;
    }
  }
  return range;
}

void MoeLayers::make(unsigned seed) {
  const FileRange last = range(layers - 1, kNames[3]);
  file.resize(last.offset + last.bytes);
  std::mt19937 random(seed);
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (const char* name : kNames)
      fill(file.data() + range(layer, name).offset, desc(name), random);
}

Graph MoeLayers::graph(std::int64_t tokens) const {
  const auto lookup = [this](std::string_view name) -> std::optional<TensorDesc> {
    if (name.ends_with(".bias")) return {};
    return desc(std::string(name));
  };
  GraphBuilder g(tokens, lookup, "test");
  ModelConfig config;
  config.experts = experts;
  config.experts_used = used;
  const Value x = g.input(dim);
  return g.finish(g.add(x, moe_ffn(g, config, x)));
}

void MemoryReader::read(const StreamUnit& unit, std::span<std::byte> slot,
                        std::span<const std::byte*> places, std::stop_token) {
  if (reads.fetch_add(1) == failing)
    throw Error(ErrorCode::io, "memory", "a fault that was asked for");
  std::size_t at = 0;
  for (std::size_t i = 0; i < unit.parts.size(); ++i) {
    const FileRange& part = unit.parts[i];
    std::byte* const to = slot.data() + at + part.offset % 4096;
    std::memcpy(to, file_.data() + part.offset, part.bytes);
    places[i] = to;
    at += slot_bytes(part);
  }
}

/// Whole tensors on the device, in the layout that is wanted.
class MoeRun::Resident final : public WeightSource {
 public:
  BlockId add(const MoeLayers& layers, std::int64_t layer, const WeightSlot& slot, Device& device,
              Stream& stream) {
    const FileRange range = layers.range(layer, slot.name);
    Buffer file = device.allocate(range.bytes, MemoryKind::device);
    stream.copy(span_of(file), host_span(layers.file.data() + range.offset, range.bytes));
    if (slot.desc.layout != Layout::rows) {
      TensorDesc from = slot.desc;
      from.layout = Layout::rows;
      Buffer packed = device.allocate(byte_size(slot.desc), MemoryKind::device);
      const PreparedOp op =
          device.ops()[OpKind::Pack].prepare(device, {Pack{}, {from}, {}, {slot.desc}});
      const Buffer workspace = device.allocate(op.workspace_bytes + 64, MemoryKind::device);
      const TensorView in = dense_view(file.data(), from);
      const TensorView out = dense_view(packed.data(), slot.desc);
      op.run(stream, op, {{&in, 1}, {}, {&out, 1}}, {workspace.data(), op.workspace_bytes});
      stream.synchronize();
      file = std::move(packed);
    }
    Lease lease;
    lease.view = dense_view(file.data(), slot.desc);
    lease.block = {static_cast<std::uint32_t>(leases_.size()), 0};
    leases_.push_back(lease);
    buffers_.push_back(std::move(file));
    return lease.block;
  }
  Lease acquire(BlockId block, Stream&) override { return leases_[block.tensor]; }
  void release(const Lease&, const Event&) override {}

 private:
  std::vector<Lease> leases_;
  std::vector<Buffer> buffers_;
};

MoeRun::MoeRun(const MoeLayers& layers, Device& device, How how)
    : layers_(layers),
      device_(device),
      stream_(device.open_stream(StreamRole::compute)),
      resident_(std::make_unique<Resident>()),
      reader_(std::make_unique<MemoryReader>(layers.file)),
      experts_(std::make_unique<StreamedExperts>(device)),
      recorded_(std::make_unique<RecordedExperts>(*experts_)) {
  std::size_t arena = 0;
  for (const std::int32_t tokens : {1, kTokens}) {
    plans_.push_back(
        make_plan(layers.graph(tokens), device, {.pack_weights = how.pack, .fuse = how.fuse}));
    arena = std::max(arena, plans_.back().arena_bytes);
  }
  for (const Plan& plan : plans_)
    for (std::int64_t layer = 0; layer < layers.layers; ++layer) bind(plan, layer, how);
  const std::size_t hidden = static_cast<std::size_t>(kTokens * layers.dim) * sizeof(float);
  const std::int64_t routes = kTokens * layers.used;
  for (const std::size_t bytes : {arena, hidden, hidden})
    buffers_.push_back(device.allocate(bytes, MemoryKind::device));
  executor_ = std::make_unique<Executor>(*stream_, *resident_, span_of(buffers_[0]));
  if (how.slots == 0) return;
  experts_->load(*reader_,
                 {how.slots, static_cast<std::int32_t>(layers.used), 3, how.readers, how.kept},
                 how.observer);
  buffers_.push_back(
      device.allocate(ExpertRoutes::host_bytes(layers.experts, routes), MemoryKind::pinned));
  buffers_.push_back(
      device.allocate(ExpertRoutes::device_bytes(layers.experts, routes), MemoryKind::device));
  executor_->use_experts(*recorded_, {span_of(buffers_[3]), span_of(buffers_[4]), layers.experts},
                         layers.experts);
}

MoeRun::~MoeRun() {
  try {
    stream_->synchronize();
  } catch (const Error&) {
    return;  // a test that wanted it has seen it
  }
}

void MoeRun::bind(const Plan& plan, std::int64_t layer, const How& how) {
  std::vector<WeightBinding>& bound = bindings_.emplace_back(plan.weights.size());
  if (how.slots > 0) {
    for (const auto& slots : expert_launches(plan)) {
      std::vector<ExpertMatrix> matrices;
      for (const std::int32_t slot : slots) {
        const WeightSlot& weight = plan.weights[static_cast<std::size_t>(slot)];
        matrices.push_back(
            {split_experts(layers_.range(layer, weight.name), layers_.experts), weight.desc});
      }
      const std::uint32_t launch =
          experts_->add(static_cast<std::int32_t>(layer), std::move(matrices));
      for (const std::int32_t slot : slots)
        bound[static_cast<std::size_t>(slot)].expert_launch = static_cast<std::int32_t>(launch);
    }
  }
  for (std::size_t slot = 0; slot < bound.size(); ++slot)
    if (bound[slot].expert_launch < 0)
      bound[slot].blocks = {resident_->add(layers_, layer, plan.weights[slot], device_, *stream_)};
}

std::vector<float> MoeRun::step(const std::vector<float>& x) {
  const auto tokens = static_cast<std::int32_t>(x.size() / static_cast<std::size_t>(layers_.dim));
  const std::size_t plan = tokens == 1 ? 0 : 1;
  const std::size_t bytes = x.size() * sizeof(float);
  const TensorDesc desc{DType::F32, Layout::rows, {kTokens, layers_.dim}};
  stream_->copy({buffers_[1].data(), bytes, MemoryKind::device}, host_span(x.data(), bytes));
  std::size_t current = 1;
  const auto layers = static_cast<std::size_t>(layers_.layers);
  for (std::size_t layer = 0; layer < layers; ++layer, current = 3 - current)
    executor_->run(plans_[plan],
                   {dense_view(buffers_[current].data(), desc),
                    dense_view(buffers_[3 - current].data(), desc),
                    bindings_[plan * layers + layer],
                    {},
                    {}},
                   {tokens, 0});
  std::vector<float> out(x.size());
  stream_->copy(host_span(out.data(), bytes),
                {buffers_[current].data(), bytes, MemoryKind::device});
  stream_->synchronize();
  return out;
}

}  // namespace strata::test
