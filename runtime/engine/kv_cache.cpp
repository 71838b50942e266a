#include "runtime/engine/kv_cache.h"

#include <fmt/format.h>

#include <limits>

#include "runtime/core/checked.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

std::int32_t pages_per_sequence(const KvFormat& format, std::int64_t context) {
  return static_cast<std::int32_t>((context + format.page_tokens - 1) / format.page_tokens);
}

void check_one(const ModelConfig& config, DType dtype, const char* option) {
  const std::int64_t block = dtype_info(dtype).block_elements;
  if (config.head_dim % block != 0)
    throw Error(
        ErrorCode::unsupported_op, option,
        fmt::format("a {} cache needs a head_dim that is a multiple of {}, this model has {}",
                    dtype_info(dtype).name, block, config.head_dim),
        "use f16, bf16 or f32");
}

}  // namespace

void KvCache::check(const ModelConfig& config, const KvFormat& format) {
  check_one(config, format.k, "--cache-type-k");
  check_one(config, format.v, "--cache-type-v");
}

std::uint64_t KvCache::bytes_per_token(const ModelConfig& config, const KvFormat& format) {
  return static_cast<std::uint64_t>(config.layers * config.kv_heads) *
         (row_bytes(format.k, config.head_dim) + row_bytes(format.v, config.head_dim));
}

std::uint64_t KvCache::bytes(const ModelConfig& config, const KvFormat& format,
                             const KvExtent& extent, std::int64_t layers) {
  const std::int64_t pages =
      std::int64_t{pages_per_sequence(format, extent.context)} * extent.sequences;
  const std::uint64_t layer =
      bytes_per_token(config, format) / static_cast<std::uint64_t>(config.layers);
  const Checked total = Checked(layer) * static_cast<std::uint64_t>(layers) *
                        static_cast<std::uint64_t>(format.page_tokens) *
                        static_cast<std::uint64_t>(pages);
  // What cannot be counted does not fit either.
  return total.value().value_or(std::numeric_limits<std::uint64_t>::max() / 2);
}

PagePool KvCache::make_pool(const KvFormat& format, const KvExtent& extent) {
  const std::int32_t pages = pages_per_sequence(format, extent.context);
  return {pages * extent.sequences, format.page_tokens, extent.sequences, pages};
}

KvCache::KvCache(Device& device, const ModelConfig& config, const KvFormat& format,
                 const KvExtent& extent, std::span<const std::int32_t> layers)
    : place_(static_cast<std::size_t>(config.layers)) {
  check(config, format);
  const std::int32_t pages = pages_per_sequence(format, extent.context) * extent.sequences;
  for (const std::int32_t layer : layers) {
    place_[static_cast<std::size_t>(layer)] = views_.size() / 2;
    for (DType dtype : {format.k, format.v}) {
      const TensorDesc desc = kv_desc(config, dtype, format.page_tokens, pages);
      buffers_.push_back(device.allocate(byte_size(desc), MemoryKind::device));
      views_.push_back(dense_view(buffers_.back().data(), desc));
    }
  }
}

void KvCache::copy_pages(Stream& stream, std::span<const PagePool::PageCopy> copies) const {
  for (const PagePool::PageCopy& copy : copies) {
    for (const TensorView& view : views_) {
      const std::int64_t page_bytes = view.rows() / view.shape[0] * view.row_stride;
      const auto bytes = static_cast<std::size_t>(page_bytes);
      stream.copy({view.data + copy.to * page_bytes, bytes, MemoryKind::device},
                  {view.data + copy.from * page_bytes, bytes, MemoryKind::device});
    }
  }
}

}  // namespace strata
