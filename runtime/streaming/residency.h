#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/streaming/link_speeds.h"
#include "runtime/streaming/tier.h"

namespace strata {

/// "device", "host", "streamed", "cpu".
std::string_view tier_name(Tier tier);

enum class UnitPart : std::uint8_t {
  layer,         ///< all of a dense layer
  shared,        ///< of an MoE layer, what every token uses
  experts,       ///< of an MoE layer, the experts
  output,        ///< the output matrix
  attention,     ///< of a layer that two devices compute, the attention with its cache,
  feed_forward,  ///< ... and the rest, with all experts where the CPU computes it
};

/// What the planner places as one: a layer, two parts of a layer, the output matrix, or of these
/// the matrices of one op, or a range of their rows. Small weights (norms, biases, routers)
/// are always where their layer, or their part of it, is computed.
struct PlanUnit {
  std::int32_t layer = 0;  ///< the output matrix has the number after the last layer
  UnitPart part = UnitPart::layer;
  std::int32_t op = -1;            ///< of its part's ops with matrices, in order; -1: all of them
  std::int32_t piece = 0;          ///< of `pieces` equal ranges of the op's rows
  std::int32_t pieces = 1;         ///< the units of an op's pieces follow each other
  std::uint64_t file_bytes = 0;    ///< of its matrices: what streaming moves
  std::uint64_t device_bytes = 0;  ///< of its matrices when resident, in the kernels' layout
  std::uint64_t small_bytes = 0;   ///< of its small weights, on the device unless it is the CPU's;
                                   ///< of several units of a layer the first has all
  std::uint64_t cpu_bytes = 0;     ///< host memory that it takes when the CPU computes it
  double used_per_token = 1;       ///< share of it that a token reads: k / E for experts
  double flops_per_token = 0;      ///< matmuls of one token
  std::vector<std::uint64_t> ops;  ///< file bytes of each op's matrices, in order; may be empty
  std::vector<int> copies;         ///< how many matrices these are, a copy each; empty: one
  std::optional<Tier> forced;      ///< the user's wish; `host` is `streamed` where not all fits

  /// It stands for what a layer has once, its cache: the first of the units of its layer, of its
  /// shared part or of its attention.
  bool first() const {
    return op <= 0 && piece == 0 && part != UnitPart::experts && part != UnitPart::feed_forward;
  }
};

/// What varies the memory that is not weights.
struct StepShape {
  std::int64_t context = 0;     ///< tokens of each sequence
  std::int32_t max_tokens = 0;  ///< most tokens of a step: the prompt chunk
  std::int32_t sequences = 1;
};

/// Sizes of one unit of the stream (what one launch reads), if units are cut at about
/// `target_bytes` of the file: those of the largest.
struct BlockChoice {
  std::uint64_t target_bytes = 0;
  std::uint64_t host_slot = 0;    ///< of a slot of the staging ring
  std::uint64_t device_slot = 0;  ///< of a device slot; of no meaning where memory is unified
  std::uint64_t packed = 0;       ///< of the buffer that units are packed to; 0: none
  /// Layers that stream, in part too, are computed in the file's layout: nothing is packed. Of no
  /// meaning where memory is unified, where that is always so, and where there is one layout.
  bool file_layout = false;
};

/// Experts that come one by one into slots on the device, when they are chosen. They are in no
/// unit.
struct ExpertSlots {
  std::int64_t all = 0;            ///< experts of all layers together; 0: none come so
  std::int64_t token = 0;          ///< of those, what one token uses
  std::uint64_t file_bytes = 0;    ///< of all
  std::uint64_t device_bytes = 0;  ///< of all, in the kernels' layout
  double flops_per_token = 0;      ///< of their matmuls
  std::int64_t layers = 0;         ///< that have them
  std::int64_t launches = 0;       ///< that ask for experts in a step, of all layers together
  /// Device memory of so many slots, at least 1: all that is taken for them.
  std::function<std::uint64_t(std::int64_t slots)> bytes;
  /// The most slots that fit into so many bytes; 0: not one.
  std::function<std::int64_t(std::uint64_t bytes)> most;
  /// Pinned memory of the host when so many stay in it; 0: of those on their way. All of it is 0
  /// where memory is unified, and counted in `bytes`.
  std::function<std::uint64_t(std::int64_t kept)> pinned;
  /// The most that can stay in so many bytes of it.
  std::function<std::int64_t(std::uint64_t bytes)> most_kept;
  /// Share of a token's experts that so many slots have, if all are chosen equally often.
  std::function<double(std::int64_t slots)> hit_rate;
};

/// Experts of all layers together.
struct ExpertCount {
  std::int64_t all = 0;
  std::int64_t token = 0;        ///< of those, what one token uses
  std::uint64_t file_bytes = 0;  ///< of all
};

/// What the experts of a mixture take in a step. How many must come depends on the text: what is
/// not known is assumed, and can be replaced by what was counted.
struct ExpertEstimate {
  double rest_seconds = 0;  ///< of a step in which nothing comes
  double wanted = 0;        ///< experts that a launch asks for
  double launches = 0;      ///< of a step
  double read_seconds = 0;  ///< of one expert of a launch: from the file,
  double copy_seconds = 0;  ///< ... and to its slot, where the reads of others go on
  double hit_rate = 0;      ///< assumed share that is in slots: slots by experts, all being
                            ///< chosen equally often
  double kept_rate = 0;     ///< assumed share of the others that is in pinned memory

  /// Seconds of a step in which these shares of experts are there.
  double step_seconds(double hits, double kept) const;
  double step_seconds() const { return step_seconds(hit_rate, kept_rate); }
  /// Nothing is there: no text makes a step longer.
  double longest_step_seconds() const { return step_seconds(0, 0); }
};

/// Bytes that may be taken. Where memory is unified only `device` counts.
struct Budgets {
  std::uint64_t device = 0;
  std::uint64_t pinned = 0;  ///< staging ring and pinned units
  std::uint64_t host = 0;    ///< those, and what the CPU computes with
};

enum class Goal : std::uint8_t { latency, throughput };

/// All that a plan depends on.
struct ResidencyRequest {
  std::string device = "device";    ///< for messages: "cuda:0"
  std::vector<PlanUnit> units;      ///< in the order of execution
  std::vector<BlockChoice> blocks;  ///< largest first; at least one
  ExpertSlots experts;              ///< beside the units
  /// The experts that come if the CPU has these layers too, rising, with theirs; and those layers
  /// as units of the CPU, by layer. Empty where the CPU may not.
  std::function<ExpertSlots(const std::vector<std::int32_t>& layers)> experts_without;
  std::vector<PlanUnit> whole_layers;
  Budgets budgets;
  LinkSpeeds links;
  bool unified = false;          ///< the device computes in host memory: nothing is uploaded
  bool cpu_may_compute = false;  ///< layers may go to the CPU unless forced elsewhere
  Goal goal = Goal::latency;

  /// Bytes of the cache of one layer. Never falls when the shape grows, nor does compute_bytes.
  std::function<std::uint64_t(const StepShape&)> kv_bytes;
  /// Everything else that the device needs beside weights: activations, logits, step block.
  std::function<std::uint64_t(const StepShape&)> compute_bytes;

  std::int32_t sequences = 1;      ///< that decode at a time; the most of them for throughput
  std::int64_t context = 0;        ///< wanted
  bool context_asked = false;      ///< by the user: it does not shrink
  std::int64_t context_step = 16;  ///< a context that shrinks is a multiple of this (a page)
  std::int32_t max_tokens = 512;   ///< prompt chunk when nothing streams, at least `sequences`
  bool max_tokens_asked = false;   ///< by the user: it does not grow (it may still shrink)

  int most_slots = 64;  ///< device slots. More than 4 are tried only beside CPU layers: while the
                        ///< CPU computes one, nothing is uploaded but what has a free slot
  double copy_variation = 0.1;  ///< standard deviation of a copy's time by its mean
  int reader_threads = 2;
  double copy_latency = 10e-6;         ///< seconds that each upload takes beside its bytes
  double op_latency = 5e-6;            ///< seconds that each launch takes beside its bytes
  double switch_seconds = 20e-6;       ///< from one device to another
  std::int64_t typical_prompt = 1024;  ///< what latency is made small for: so many tokens in,
  std::int64_t typical_answer = 256;   ///< so many out
};

/// Device memory of a plan, by purpose.
struct DeviceNeed {
  std::uint64_t resident = 0;  ///< matrices
  std::uint64_t small = 0;     ///< weights that are never streamed
  std::uint64_t kv = 0;
  std::uint64_t compute = 0;
  std::uint64_t slots = 0;  ///< device slots; where memory is unified, the staging ring
  std::uint64_t packed = 0;
  std::uint64_t experts = 0;  ///< slots of experts
  std::uint64_t total() const { return resident + small + kv + compute + slots + packed + experts; }
};

/// One way that weights take in a sweep.
struct LinkUse {
  std::string_view name;  ///< "disk", "upload", "device", "cpu"
  double bytes = 0;       ///< per decoding sweep
  double limit = 0;       ///< bytes/s; 0: not measured
  std::optional<double> busy_seconds;
};

/// What the event simulator says of a plan, in steady state.
struct PredictedSweep {
  double sweep_seconds = 0;  ///< of one decoding step
  double token_seconds = 0;  ///< the same by sequences
  double first_sweep_seconds = 0;
  double compute_stall_seconds = 0;            ///< device or CPU waited for weights, per sweep
  std::optional<double> prompt_sweep_seconds;  ///< of a full prompt chunk; needs measured flop/s
};

struct ResidencyPlan {
  std::vector<Tier> tiers;  ///< by unit
  StepShape shape;          ///< as it fits
  bool streams = false;     ///< some unit is not resident on what computes it, or experts come
  BlockChoice block;        ///< if units stream; the zero value otherwise
  std::int64_t expert_slots = 0;  ///< experts that have room; 0: none come one by one
  std::int64_t experts_kept = 0;  ///< experts that stay in pinned memory once they are read
  ExpertCount coming;             ///< experts that come one by one: not the CPU's
  int slots = 0;                  ///< of the device; 0 where memory is unified or nothing streams
  int ring_slots = 0;             ///< 0 where nothing is read from the file in a sweep
  DeviceNeed need;
  std::uint64_t pinned_bytes = 0;  ///< ring, pinned units, and experts on their way or kept
  std::uint64_t host_bytes = 0;    ///< those, and what the CPU computes with; 0 where unified
  std::uint64_t bytes_of(Tier tier) const { return tier_bytes[static_cast<int>(tier)]; }
  std::uint64_t tier_bytes[4] = {};  ///< file bytes by tier

  /// Empty where a speed that it needs was not measured. Where experts come, under the assumptions
  /// of `experts`, as are the links.
  std::optional<PredictedSweep> predicted;
  std::optional<ExpertEstimate> experts;
  std::vector<LinkUse> links;
  std::string_view binding_link;   ///< a name of `links`; empty without a prediction
  std::vector<std::string> notes;  ///< for the user: what became smaller, and why
  std::string manual_flags;        ///< the options that ask for this plan
};

/// Places every unit: as little as can be is streamed, evenly spread, and the CPU takes a share
/// where that gains 5 %. Everything fits: all is resident and there are no slots. Nothing does: row
/// blocks shrink, then the prompt chunk, then a context that nobody asked for. Experts that come
/// one by one get as many slots as there is room for beside the rest, at least one; where the rest
/// streams too, as many as a token uses if that can be. Experts that have no slot stay in pinned
/// memory where the file is slower than that, and as far as the budget goes. The CPU takes layers
/// with their experts where that gains 5 %. A pure function of the request; no byte is touched.
/// Throws Error{does_not_fit} with need, have and what to try;
/// Error{bad_request} for a request that makes no sense.
ResidencyPlan plan_residency(const ResidencyRequest& request);

/// -ngl: the last `gpu_layers` stay on the device, the output first, as llama.cpp counts; the CPU
/// computes the others and nothing is streamed. Units that are forced already are left alone.
void force_gpu_layers(std::vector<PlanUnit>& units, std::int64_t gpu_layers);
/// --n-cpu-moe: the experts of the first `layers` layers are computed on the CPU.
void force_experts_to_cpu(std::vector<PlanUnit>& units, std::int64_t layers);

/// The device budget to plan with after an allocation of `failed_bytes` was refused.
std::uint64_t smaller_budget(std::uint64_t budget, std::uint64_t failed_bytes);

}  // namespace strata
