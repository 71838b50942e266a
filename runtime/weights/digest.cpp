#include "runtime/weights/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

namespace strata {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{16} << 20;

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_128bits_reset(state_.get());
  }
  void add(std::span<const std::byte> bytes) {
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  }
  void add(std::uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }
  /// With its length, so that no two lists of texts look alike.
  void add(std::string_view text) {
    add(text.size());
    add(std::as_bytes(std::span(text)));
  }
  Digest finish() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.high64, hash.low64};
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

std::vector<std::uint32_t> order_by_name(std::span<const TensorInfo> tensors) {
  std::vector<std::uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return tensors[a].name < tensors[b].name; });
  return order;
}

}  // namespace

std::string to_string(const Digest& digest) {
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

Digest tensor_digest(const ModelFile& file, const ByteProgress& progress) {
  Hasher hasher;
  std::uint64_t done = 0;
  for (std::uint32_t index : order_by_name(file.tensors())) {
    const TensorInfo& tensor = file.tensors()[index];
    hasher.add(tensor.name);
    hasher.add(tensor.type_name());
    for (std::int64_t size : tensor.ne) hasher.add(static_cast<std::uint64_t>(size));
    auto data = file.data(tensor);
    while (!data.empty()) {
      const auto chunk = data.first(std::min(data.size(), kChunkBytes));
      hasher.add(chunk);
      data = data.subspan(chunk.size());
      done += chunk.size();
      if (progress) progress(done, file.tensor_bytes());
    }
  }
  return hasher.finish();
}

}  // namespace strata
