#pragma once

#include <vector>

#include "runtime/core/device.h"
#include "runtime/engine/page_pool.h"
#include "runtime/models/model.h"

namespace strata {

/// The paged KV cache of a model on one device: a PagePool and, per layer, the memory of its keys'
/// and values' pages. Memory is asked for at once and touched as pages come into use.
class KvCache {
 public:
  /// Room for `sequences` sequences of up to `context` tokens each, in a shared pool of pages.
  /// Throws Error{out_of_memory}; Error{unsupported_op} when head_dim does not fill whole blocks.
  KvCache(Device& device, const ModelConfig& config, const KvFormat& format, std::int64_t context,
          std::int32_t sequences);

  PagePool& pool() { return pool_; }
  const PagePool& pool() const { return pool_; }
  const KvFormat& format() const { return format_; }
  /// The two state views of a layer, in the order of its graph: k_pages, v_pages.
  std::span<const TensorView> views(std::int32_t layer) const {
    return {views_.data() + 2 * static_cast<std::size_t>(layer), 2};
  }
  /// Copies the pages that the pool wants copied, in every layer.
  void make_copies(Stream& stream);

  /// Bytes that such a cache takes, without making it.
  static std::uint64_t bytes(const ModelConfig& config, const KvFormat& format,
                             std::int64_t context, std::int32_t sequences);
  /// Bytes of one token in all layers.
  static std::uint64_t bytes_per_token(const ModelConfig& config, const KvFormat& format);
  /// Throws Error{unsupported_op} when head_dim is no multiple of the dtype's block.
  static void check(const ModelConfig& config, const KvFormat& format);

 private:
  KvFormat format_;
  PagePool pool_;
  std::vector<Buffer> buffers_;
  std::vector<TensorView> views_;
};

}  // namespace strata
