#pragma once

#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/engine/page_pool.h"
#include "runtime/models/model.h"

namespace strata {

/// How many sequences of how many tokens a cache has room for.
struct KvExtent {
  std::int64_t context = 0;    ///< tokens of each sequence
  std::int32_t sequences = 1;  ///< in a shared pool of pages
};

/// The memory of the paged KV cache of some layers on one device: keys' and values' pages, which a
/// PagePool gives to sequences. Asked for at once and touched as pages come into use.
class KvCache {
 public:
  /// Room for all pages of a pool of this extent, for these layers.
  /// Throws Error{out_of_memory}; Error{unsupported_op} when head_dim does not fill whole blocks.
  KvCache(Device& device, const ModelConfig& config, const KvFormat& format, const KvExtent& extent,
          std::span<const std::int32_t> layers);

  /// The two state views of a layer, in the order of its graph: k_pages, v_pages.
  std::span<const TensorView> views(std::int32_t layer) const {
    return {views_.data() + 2 * place_[static_cast<std::size_t>(layer)], 2};
  }
  /// Copies pages, in every layer and in this order.
  void copy_pages(Stream& stream, std::span<const PagePool::PageCopy> copies) const;

  /// The pool for caches of this extent.
  static PagePool make_pool(const KvFormat& format, const KvExtent& extent);
  /// Bytes that such a cache takes, without making it.
  static std::uint64_t bytes(const ModelConfig& config, const KvFormat& format,
                             const KvExtent& extent, std::int64_t layers);
  /// Bytes of one token in all layers of the model.
  static std::uint64_t bytes_per_token(const ModelConfig& config, const KvFormat& format);
  /// Throws Error{unsupported_op} when head_dim is no multiple of the dtype's block.
  static void check(const ModelConfig& config, const KvFormat& format);

 private:
  std::vector<std::size_t> place_;  ///< by layer of the model: which of ours
  std::vector<Buffer> buffers_;
  std::vector<TensorView> views_;
};

}  // namespace strata
