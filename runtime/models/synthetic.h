#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/core/output_file.h"
#include "runtime/weights/gguf_writer.h"

namespace strata {

/// One row of synthetic_shapes.def: a model without its weights.
struct SyntheticShape {
  std::string_view name;          ///< "llama-8b"
  std::string_view architecture;  ///< general.architecture
  std::string_view label;         ///< "Llama-3-8B"
  std::int64_t layers, dim, ffn_dim, heads, kv_heads, head_dim, vocab, context;
  float rope_base;
  float norm_eps;
  bool tied;
  bool llama3_rope;
  std::int64_t experts, experts_used, expert_ffn_dim;
};

std::span<const SyntheticShape> synthetic_shapes();
/// Null when there is none of that name.
const SyntheticShape* find_synthetic_shape(std::string_view name);

struct SyntheticOptions {
  DType type = DType::F16;
  /// Of the output matrix (of the embeddings, where they are it). Not given: what llama.cpp's
  /// quantizer takes, Q6_K beside most block types.
  std::optional<DType> output_type;
  std::optional<DType> embedding_type;  ///< not given: as `type`
  std::int64_t layers = 0;              ///< 0: all of the model
  std::uint64_t seed = 0;
};

/// A model file with random weights, as it will be: every tensor has its place.
struct SyntheticModel {
  std::string head;  ///< the file's first bytes
  GgufHeader layout;
  std::vector<float> rope_factors;  ///< of the tensor rope_freqs.weight, where there is one
  std::uint64_t seed = 0;
};

/// Names, shapes and types of all tensors, and the keys, `tokenizer.ggml.model` = "no_vocab".
/// Throws Error(usage) for a number of layers that the shape has not got, or when its columns do
/// not fill the blocks of a type.
SyntheticModel plan_synthetic(const SyntheticShape& shape, const SyntheticOptions& options);

/// Writes the file with `threads` threads, at most `kSyntheticPieceBytes` at a time each; the bytes
/// do not depend on how many. Matrices of k columns get the standard deviation 1 / sqrt(k), so that
/// activations keep their size; norm weights are 1. `progress` is called in the caller's thread; it
/// may throw to stop the work. Throws Error(io). The caller commits the file.
void write_synthetic(
    const SyntheticModel& model, OutputFile& file, int threads,
    const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& progress);

inline constexpr std::size_t kSyntheticPieceBytes = std::size_t{4} << 20;

}  // namespace strata
