#include "runtime/engine/programs.h"

#include <algorithm>

namespace strata {
namespace {

// Decoding one sequence, a few, a prompt's tail, a prompt's chunk; where layers stream, a whole
// prompt.
constexpr std::int32_t kBuckets[] = {1, 8, 64, 512};

bool has_layer_of(const LayerKind& kind, const std::vector<std::int32_t>& layers) {
  return std::any_of(kind.layers.begin(), kind.layers.end(), [&](std::int32_t layer) {
    return std::find(layers.begin(), layers.end(), layer) != layers.end();
  });
}

ProgramBucket plan_bucket(const Model& model, Device& device, const ProgramOptions& options,
                          const ProgramPart& part, std::int32_t tokens) {
  const PlanOptions plan_options{options.pack_weights && !part.file_layout, options.fuse,
                                 part.whole_matrices};
  ProgramBucket bucket;
  bucket.tokens = tokens;
  if (part.head) bucket.head = make_plan(model.head(tokens), device, plan_options);
  for (const LayerPart half : kLayerParts)
    for (const LayerKind& kind : model.kinds())
      bucket.layers[half].push_back(
          has_layer_of(kind, part.layers[half])
              ? make_plan(model.layer(kind, tokens, options.kv, half), device, plan_options)
              : Plan{});
  if (part.tail) bucket.tail = make_plan(model.tail(tokens), device, plan_options);
  return bucket;
}

}  // namespace

const ProgramBucket& Programs::bucket_for(std::int32_t tokens) const {
  for (const ProgramBucket& bucket : buckets)
    if (bucket.tokens >= tokens) return bucket;
  return buckets.back();
}

Programs plan_programs(const Model& model, Device& device, const ProgramOptions& options,
                       const ProgramPart& part) {
  Programs programs;
  for (std::int32_t tokens : kBuckets)
    if (tokens < options.max_tokens)
      programs.buckets.push_back(plan_bucket(model, device, options, part, tokens));
  programs.buckets.push_back(plan_bucket(model, device, options, part, options.max_tokens));
  for (const ProgramBucket& bucket : programs.buckets) {
    programs.arena_bytes =
        std::max({programs.arena_bytes, bucket.head.arena_bytes, bucket.tail.arena_bytes});
    for (const LayerPart half : kLayerParts)
      for (const Plan& plan : bucket.layers[half])
        programs.arena_bytes = std::max(programs.arena_bytes, plan.arena_bytes);
  }
  return programs;
}

Programs plan_programs(const Model& model, Device& device, const ProgramOptions& options) {
  ProgramPart all;
  std::vector<std::int32_t>& layers = all.layers[LayerPart::whole];
  for (const LayerKind& kind : model.kinds())
    layers.insert(layers.end(), kind.layers.begin(), kind.layers.end());
  return plan_programs(model, device, options, all);
}

}  // namespace strata
