#include "runtime/engine/residency_units.h"

#include <algorithm>
#include <utility>

namespace strata {
namespace {

// By op, large ones in pieces.
void add_parts(const ProgramWeights& weights, std::int32_t layer, UnitPart part,
               std::uint64_t piece_bytes, std::vector<PlanUnit>& units) {
  std::uint64_t small_bytes = weights.small_bytes;
  for (std::size_t op = 0; op < weights.ops.size(); ++op) {
    const std::vector<OpMatrices> pieces = cut_op(weights.ops[op], piece_bytes);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      PlanUnit unit = unit_of({{pieces[i]}, small_bytes}, layer, part);
      unit.op = static_cast<std::int32_t>(op);
      unit.piece = static_cast<std::int32_t>(i);
      unit.pieces = static_cast<std::int32_t>(pieces.size());
      units.push_back(std::move(unit));
      small_bytes = 0;
    }
  }
}

bool is_cpu(const std::optional<DeviceId>& device) {
  return device && device->backend == BackendKind::cpu;
}

class UnitMaker {
 public:
  UnitMaker(const Model& model, const WeightReader& reader, std::uint64_t piece,
            const GivenToCpu& given)
      : model_(model), reader_(reader), piece_(piece), given_(given) {}

  std::vector<PlanUnit> make() {
    const auto layers = static_cast<std::int32_t>(model_.config().layers);
    for (std::int32_t layer = 0; layer < layers; ++layer) {
      if (piece_ == 0 || (!given_.whole(layer) && !given_.splits(layer)))
        add(reader_.layer(layer, true), layer,
            reader_.has_experts(layer) ? UnitPart::shared : UnitPart::layer, given_.whole(layer));
      else if (given_.whole(layer))
        add_of_cpu(layer, LayerPart::whole);
      else
        add_halves(layer);
    }
    add(reader_.output(), layers, UnitPart::output, given_.output);
    return std::move(units_);
  }

 private:
  void add(const ProgramWeights& weights, std::int32_t layer, UnitPart part, bool of_cpu) {
    const std::size_t before = units_.size();
    if (piece_ == 0 || weights.ops.empty())
      units_.push_back(unit_of(weights, layer, part));
    else
      add_parts(weights, layer, part, piece_, units_);
    for (std::size_t i = before; of_cpu && i < units_.size(); ++i) units_[i].forced = Tier::cpu;
  }

  void add_of_cpu(std::int32_t layer, LayerPart part) {
    units_.push_back(unit_with_experts(model_, reader_, layer, part));
    units_.back().forced = Tier::cpu;
  }

  void add_halves(std::int32_t layer) {
    if (given_.attention[static_cast<std::size_t>(layer)]) {
      add_of_cpu(layer, LayerPart::attention);
      add(reader_.layer(layer, true, LayerPart::feed_forward), layer, UnitPart::feed_forward,
          false);
    } else {
      add(reader_.layer(layer, true, LayerPart::attention), layer, UnitPart::attention, false);
      add_of_cpu(layer, LayerPart::feed_forward);
    }
  }

  const Model& model_;
  const WeightReader& reader_;
  std::uint64_t piece_;
  const GivenToCpu& given_;
  std::vector<PlanUnit> units_;
};

}  // namespace

PlanUnit unit_of(const ProgramWeights& weights, std::int32_t layer, UnitPart part) {
  PlanUnit unit;
  unit.layer = layer;
  unit.part = part;
  unit.small_bytes = weights.small_bytes;
  for (const OpMatrices& op : weights.ops) {
    unit.file_bytes += op.file_bytes;
    unit.device_bytes += op.packed_bytes;
    unit.flops_per_token += op.flops;
    unit.ops.push_back(op.file_bytes);
    unit.copies.push_back(static_cast<int>(op.matrices.size()));
  }
  unit.cpu_bytes = unit.device_bytes + unit.small_bytes;
  return unit;
}

GivenToCpu given_to_cpu(const Model& model, const OverriddenLayers& overridden) {
  const auto layers = static_cast<std::size_t>(model.config().layers);
  GivenToCpu given{LayerSet(layers, false), LayerSet(layers, false), is_cpu(overridden.output)};
  for (std::size_t i = 0; i < layers && i < overridden.layers.size(); ++i) {
    given.attention[i] = is_cpu(overridden.layers[i].attention);
    given.feed_forward[i] = is_cpu(overridden.layers[i].feed_forward);
  }
  return given;
}

PlanUnit unit_with_experts(const Model& model, const WeightReader& reader, std::int32_t layer,
                           LayerPart part) {
  const UnitPart name = part == LayerPart::whole       ? UnitPart::layer
                        : part == LayerPart::attention ? UnitPart::attention
                                                       : UnitPart::feed_forward;
  PlanUnit whole = unit_of(reader.layer(layer, false, part), layer, name);
  if (part == LayerPart::attention || !reader.has_experts(layer)) return whole;
  const PlanUnit shared = unit_of(reader.layer(layer, true, part), layer, name);
  const double experts = static_cast<double>(whole.file_bytes - shared.file_bytes);
  const double used = static_cast<double>(model.config().experts_used) /
                      static_cast<double>(model.config().experts);
  whole.used_per_token = (static_cast<double>(shared.file_bytes) + used * experts) /
                         static_cast<double>(whole.file_bytes);
  return whole;
}

std::uint64_t piece_bytes(const Model& model, const WeightReader& reader, bool unified) {
  if (unified) return 0;
  constexpr std::uint64_t kLeast = std::uint64_t{4} << 20;
  constexpr std::uint64_t kPieces = 128;
  std::uint64_t all = 0;
  for (const OpMatrices& op : reader.output().ops) all += op.file_bytes;
  for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer)
    for (const OpMatrices& op : reader.layer(layer, true).ops) all += op.file_bytes;
  return std::max(kLeast, all / kPieces);
}

std::vector<PlanUnit> make_units(const Model& model, const WeightReader& reader,
                                 std::uint64_t piece, const GivenToCpu& given) {
  return UnitMaker(model, reader, piece, given).make();
}

}  // namespace strata
