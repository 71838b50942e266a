#include "runtime/streaming/host_experts.h"

#include <algorithm>
#include <chrono>

#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr std::size_t kPage = 4096;
// Pinned memory is taken in pieces of about so much: a system that refuses the next one has granted
// the others.
constexpr std::uint64_t kSlabBytes = std::uint64_t{64} << 20;
// More than so much is not registered with the readers' rings: each of them would pin it again.
constexpr std::uint64_t kMostRegistered = std::uint64_t{512} << 20;

std::int64_t slots_of_slab(std::uint64_t slot_bytes) {
  return std::max<std::int64_t>(static_cast<std::int64_t>(kSlabBytes / slot_bytes), 1);
}

// The place in a slab that is aligned as readers want it.
std::span<std::byte> page_aligned(const Buffer& buffer, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  return {buffer.data() + ((address + kPage - 1) / kPage * kPage - address), bytes};
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

// What is needed is a slab of its own.
std::uint64_t HostExperts::bytes(std::uint64_t slot_bytes, std::int64_t slots, std::int64_t least) {
  least = std::max<std::int64_t>(least, 1);
  slots = std::max(slots, least);
  const std::int64_t each = slots_of_slab(slot_bytes);
  const std::int64_t slabs = 1 + (slots - least + each - 1) / each;
  return static_cast<std::uint64_t>(slots) * slot_bytes + static_cast<std::uint64_t>(slabs) * kPage;
}

// Where the system pins no more memory the rest is pageable: slower, but no reason to give up.
Buffer HostExperts::needed_slab(Device& device, std::size_t bytes) {
  try {
    return device.allocate(bytes, kind_);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory || kind_ == MemoryKind::host) throw;
    kind_ = MemoryKind::host;
    return device.allocate(bytes, kind_);
  }
}

// What is only kept can be done without.
HostExperts::Bank HostExperts::make_bank(Device& device, const Group& group, std::size_t least) {
  Bank bank;
  const auto wanted = std::max(static_cast<std::size_t>(group.slots), least);
  const auto each = static_cast<std::size_t>(slots_of_slab(group.slot_bytes));
  while (bank.slots.size() < wanted) {
    const bool needed = bank.slots.empty();
    const std::size_t count = needed ? least : std::min(each, wanted - bank.slots.size());
    const std::size_t bytes = count * group.slot_bytes;
    try {
      bank.slabs.push_back(needed ? needed_slab(device, bytes + kPage)
                                  : device.allocate(bytes + kPage, kind_));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory || needed) throw;
      break;
    }
    const std::span<std::byte> memory = page_aligned(bank.slabs.back(), bytes);
    for (std::size_t i = 0; i < count; ++i)
      bank.slots.push_back({memory.subspan(i * group.slot_bytes, group.slot_bytes), {}, {}});
  }
  bank.cache.emplace(group.launches, group.experts, static_cast<std::int32_t>(bank.slots.size()));
  return bank;
}

void HostExperts::load(Device& device, BlockReader& reader, std::span<const Group> groups,
                       std::int32_t least, int readers) {
  most_pending_ = static_cast<std::size_t>(std::max(least, 1));
  std::vector<std::span<std::byte>> slots;
  std::uint64_t bytes = 0;
  for (const Group& group : groups) {
    banks_.push_back(make_bank(device, group, most_pending_));
    banks_.back().first = slots.size();
    for (const Slot& slot : banks_.back().slots) {
      slots.push_back(slot.memory);
      bytes += slot.memory.size();
    }
  }
  crew_.emplace(reader, std::move(slots), readers, bytes <= kMostRegistered);
}

HostExperts::Pending HostExperts::start(std::size_t group, std::int32_t launch, std::int32_t expert,
                                        const StreamUnit& unit, Stream& copies) {
  Bank& bank = banks_[group];
  std::int32_t number = -1;
  if (bank.cache->request(launch, {&expert, 1}, {&number, 1}).empty()) {
    ++hits_;
    return {group, number, false};
  }
  try {
    Slot& slot = bank.slots[static_cast<std::size_t>(number)];
    if (slot.free.stream != nullptr) copies.await(slot.free.ticket);
    slot.free = {};
    crew_->start(bank.first + static_cast<std::size_t>(number), unit);
  } catch (...) {
    bank.cache->forget(number);
    throw;
  }
  return {group, number, true};
}

HostExperts::Slot& HostExperts::finish(const Pending& pending) {
  Bank& bank = banks_[pending.group];
  Slot& slot = bank.slots[static_cast<std::size_t>(pending.slot)];
  if (!pending.reading) return slot;
  const std::uint64_t begin = now_ns();
  const std::span<const std::byte* const> places =
      crew_->finish(bank.first + static_cast<std::size_t>(pending.slot));
  wait_ns_ += now_ns() - begin;
  std::ranges::copy(places, slot.places.begin());
  return slot;
}

void HostExperts::drop(const Pending& pending, bool finished) {
  if (!pending.reading) return;
  Bank& bank = banks_[pending.group];
  if (!finished) crew_->abandon(bank.first + static_cast<std::size_t>(pending.slot));
  bank.cache->forget(pending.slot);
}

}  // namespace strata
