#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/streaming/block_reader.h"

namespace strata::test {

inline constexpr std::uint64_t kPageBytes = 4096;

/// Writes a unit's first file offset into its slot; `before` is called ahead of every read with the
/// unit's offset and what it throws is the read's failure.
class PlayedReader : public BlockReader {
 public:
  using Before = std::function<void(std::uint64_t offset, const std::stop_token& stop)>;
  explicit PlayedReader(Before before = nullptr) : before_(std::move(before)) {}

  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override {
    begun_.fetch_add(1);
    if (before_) before_(unit.parts[0].offset, stop);
    std::byte* to = slot.data();
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::memcpy(to, &unit.parts[i].offset, sizeof(std::uint64_t));
      places[i] = to;
      to += slot_bytes(unit.parts[i]);
    }
  }
  ReaderStats stats() const override { return {}; }
  void begin_sweep() override { sweeps_.fetch_add(1); }
  void prepare(std::span<const std::span<std::byte>> slots) override { prepared_ = slots.size(); }

  int begun() const { return begun_.load(); }
  int sweeps() const { return sweeps_.load(); }
  std::size_t prepared() const { return prepared_; }

 private:
  Before before_;
  std::atomic<int> begun_{0};
  std::atomic<int> sweeps_{0};
  std::size_t prepared_ = 0;
};

/// Page-aligned slots.
class Slots {
 public:
  Slots(std::size_t count, std::uint64_t bytes) : memory_((count * bytes + kPageBytes) / 8) {
    auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    auto* begin = reinterpret_cast<std::byte*>((at + kPageBytes - 1) / kPageBytes * kPageBytes);
    for (std::size_t i = 0; i < count; ++i) spans_.emplace_back(begin + i * bytes, bytes);
  }
  const std::vector<std::span<std::byte>>& spans() const { return spans_; }

 private:
  std::vector<std::uint64_t> memory_;
  std::vector<std::span<std::byte>> spans_;
};

/// Units of one to three parts of a page; part i of unit n has the offset (4 n + i) pages.
inline std::vector<StreamUnit> make_sweep(std::size_t units) {
  std::vector<StreamUnit> sweep(units);
  for (std::size_t n = 0; n < units; ++n)
    for (std::size_t i = 0; i <= n % 3; ++i)
      sweep[n].parts.push_back(
          {.shard = 0, .offset = (4 * n + i) * kPageBytes, .bytes = kPageBytes});
  return sweep;
}

}  // namespace strata::test
