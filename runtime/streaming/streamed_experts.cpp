#include "runtime/streaming/streamed_experts.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace strata {
namespace {

constexpr std::size_t kRawSlots = 2;
constexpr std::size_t kAlign = 256;
constexpr std::size_t kPage = 4096;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

TensorDesc one_expert(TensorDesc desc, Layout layout) {
  desc.layout = layout;
  desc.shape[0] = 1;
  return desc;
}

PreparedOp pack_op(Device& device, const TensorDesc& from, const TensorDesc& to) {
  return from == to ? PreparedOp{} : prepare_op(device, {Pack{}, {from}, {}, {to}});
}

// The place in pinned memory that is aligned as readers want it.
std::span<std::byte> page_aligned(const Buffer& buffer, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  return {buffer.data() + ((address + kPage - 1) / kPage * kPage - address), bytes};
}

// Copies do not write to their source: the cast only fits the one span type.
BufferSpan pinned(const std::byte* data, std::size_t bytes) {
  return {const_cast<std::byte*>(data), bytes, MemoryKind::pinned};
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

std::vector<FileRange> split_experts(const FileRange& whole, std::int64_t experts) {
  std::vector<FileRange> parts;
  const std::uint64_t bytes =
      whole.bytes / static_cast<std::uint64_t>(std::max(experts, std::int64_t{1}));
  for (std::int64_t e = 0; e < experts; ++e)
    parts.push_back({whole.shard, whole.offset + static_cast<std::uint64_t>(e) * bytes, bytes});
  return parts;
}

std::size_t StreamedExperts::group_of(std::span<const ExpertMatrix> matrices) {
  Group group;
  for (const ExpertMatrix& matrix : matrices) {
    group.file.push_back(one_expert(matrix.desc, Layout::rows));
    group.wanted.push_back(one_expert(matrix.desc, matrix.desc.layout));
    group.experts = static_cast<std::int32_t>(matrix.desc.shape[0]);
  }
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (groups_[i].wanted == group.wanted && groups_[i].experts == group.experts) return i;
  for (std::size_t m = 0; m < matrices.size(); ++m)
    group.pack.push_back(pack_op(device_, group.file[m], group.wanted[m]));
  groups_.push_back(std::move(group));
  return groups_.size() - 1;
}

std::uint32_t StreamedExperts::add(std::int32_t layer, std::vector<ExpertMatrix> matrices) {
  Launch launch;
  launch.layer = layer;
  launch.group = group_of(matrices);
  launch.units.resize(matrices[0].experts.size());
  for (const ExpertMatrix& matrix : matrices)
    for (std::size_t e = 0; e < launch.units.size(); ++e)
      launch.units[e].parts.push_back(matrix.experts[e]);
  const auto same = [](const FileRange& a, const FileRange& b) {
    return a.shard == b.shard && a.offset == b.offset;
  };
  for (std::size_t i = 0; i < launches_.size(); ++i)
    if (launches_[i].group == launch.group && launches_[i].layer == layer &&
        std::equal(launch.units[0].parts.begin(), launch.units[0].parts.end(),
                   launches_[i].units[0].parts.begin(), same))
      return static_cast<std::uint32_t>(i);
  ++groups_[launch.group].launches;
  launches_.push_back(std::move(launch));
  return static_cast<std::uint32_t>(launches_.size() - 1);
}

std::int64_t StreamedExperts::layers() const {
  std::set<std::int32_t> all;
  for (const Launch& launch : launches_) all.insert(launch.layer);
  return static_cast<std::int64_t>(all.size());
}

// A group's part of the slots is that of its launches in the layers.
ExpertShare StreamedExperts::share_of(const Group& group, const ExpertOptions& options) const {
  const std::int64_t slots = options.slots * group.launches / layers();
  return share_slots(group.launches, group.experts, options.used, std::max<std::int64_t>(slots, 1));
}

// Room for one expert of a launch as the file has it; 0 where nothing is packed on the way.
std::uint64_t StreamedExperts::raw_slot_bytes() const {
  std::uint64_t most = 0;
  if (device_.info().unified) return most;
  for (const Group& group : groups_) {
    std::uint64_t bytes = 0;
    for (std::size_t m = 0; m < group.file.size(); ++m)
      if (group.pack[m].run != nullptr) bytes += aligned(byte_size(group.file[m]));
    most = std::max(most, bytes);
  }
  return most;
}

std::uint64_t StreamedExperts::host_slot_bytes() const {
  std::uint64_t most = 0;
  for (const Launch& launch : launches_)
    for (const StreamUnit& unit : launch.units)
      most = std::max(most, BlockReader::slot_bytes(unit));
  return most;
}

std::uint64_t StreamedExperts::workspace_bytes() const {
  std::uint64_t most = 0;
  for (const Group& group : groups_)
    for (const PreparedOp& op : group.pack)
      most = std::max<std::uint64_t>(most, op.workspace_bytes);
  return most;
}

ExpertMemory StreamedExperts::memory(const ExpertOptions& options) const {
  ExpertMemory need;
  need.device = kRawSlots * raw_slot_bytes() + workspace_bytes();
  need.pinned = static_cast<std::uint64_t>(options.host_slots) * (host_slot_bytes() + kPage);
  for (const Group& group : groups_)
    for (const std::int32_t slots : share_of(group, options).slots)
      for (const TensorDesc& desc : group.wanted)
        need.device += static_cast<std::uint64_t>(slots) * byte_size(desc);
  return need;
}

std::int64_t StreamedExperts::most_slots(ExpertOptions options, std::uint64_t device_bytes) const {
  std::int64_t fits = 0;
  std::int64_t too_many = 1;
  for (const Group& group : groups_)
    too_many = std::max(too_many, layers() * group.experts + std::int64_t{1});
  while (fits + 1 < too_many) {
    options.slots = fits + (too_many - fits) / 2;
    (memory(options).device <= device_bytes ? fits : too_many) = options.slots;
  }
  return fits;
}

void StreamedExperts::make_banks(Group& group, std::size_t index, const ExpertOptions& options) {
  const ExpertShare share = share_of(group, options);
  std::vector<std::int32_t> layers_of(share.slots.size(), 0);
  std::size_t position = 0;
  for (Launch& launch : launches_) {
    if (launch.group != index) continue;
    launch.bank = static_cast<std::size_t>(share.cache_of[position++]);
    launch.layer_of_bank = layers_of[launch.bank]++;
  }
  for (std::size_t b = 0; b < share.slots.size(); ++b) {
    const std::int32_t slots = share.slots[b];
    Bank& bank = group.banks.emplace_back(Bank{{layers_of[b], group.experts, slots}, {}, {}});
    for (const TensorDesc& desc : group.wanted)
      bank.slabs.push_back(
          device_.allocate(static_cast<std::size_t>(slots) * byte_size(desc), MemoryKind::device));
    bank.last_use.resize(static_cast<std::size_t>(slots));
    leased_.reserve(std::max(leased_.capacity(), static_cast<std::size_t>(slots)));
  }
}

void StreamedExperts::load(BlockReader& reader, const ExpertOptions& options) {
  for (std::size_t i = 0; i < groups_.size(); ++i) make_banks(groups_[i], i, options);
  if (!device_.info().unified) upload_ = device_.open_stream(StreamRole::upload);
  if (workspace_bytes() > 0) workspace_ = device_.allocate(workspace_bytes(), MemoryKind::device);
  const std::uint64_t raw_bytes = raw_slot_bytes();
  for (std::size_t i = 0; i < kRawSlots && raw_bytes > 0; ++i)
    raw_.push_back(device_.allocate(raw_bytes, MemoryKind::device));
  raw_free_.resize(raw_.size());
  const std::uint64_t host_bytes = host_slot_bytes();
  std::vector<std::span<std::byte>> slots;
  for (std::int32_t i = 0; i < std::max(options.host_slots, 1); ++i) {
    host_.push_back(device_.allocate(host_bytes + kPage, MemoryKind::pinned));
    slots.push_back(page_aligned(host_.back(), host_bytes));
  }
  host_free_.resize(host_.size());
  crew_.emplace(reader, std::move(slots), options.readers);
}

// The slot's last bytes have left it, and the next are on their way.
void StreamedExperts::start_read(const Launch& launch, std::int32_t expert, std::size_t host,
                                 Stream& compute) {
  const Event& free = host_free_[host];
  if (free.stream != nullptr) (upload_ ? *upload_ : compute).await(free.ticket);
  crew_->start(host, launch.units[static_cast<std::size_t>(expert)]);
}

void StreamedExperts::pack(const Group& group, std::size_t matrix, std::byte* from, std::byte* to,
                           Stream& compute) {
  const PreparedOp& op = group.pack[matrix];
  const TensorView in = dense_view(from, group.file[matrix]);
  const TensorView out = dense_view(to, group.wanted[matrix]);
  op.run(compute, op, {{&in, 1}, {}, {&out, 1}}, {workspace_.data(), op.workspace_bytes});
}

void StreamedExperts::bring_unified(const Group& group, Bank& bank, std::int32_t slot,
                                    std::size_t host, std::span<const std::byte* const> places,
                                    Stream& compute) {
  for (std::size_t m = 0; m < places.size(); ++m) {
    const std::size_t bytes = byte_size(group.wanted[m]);
    std::byte* const to = bank.slabs[m].data() + static_cast<std::size_t>(slot) * bytes;
    if (group.pack[m].run != nullptr)
      pack(group, m, const_cast<std::byte*>(places[m]), to, compute);
    else
      compute.copy({to, bytes, MemoryKind::device}, pinned(places[m], bytes));
  }
  host_free_[host] = compute.record();
}

// File bytes go up beside the computing. Packing is work of the compute stream, in whose order the
// slot's last use comes before; what is copied right into the slot has to wait for it.
void StreamedExperts::bring(const Group& group, Bank& bank, std::int32_t slot, std::size_t host,
                            Stream& compute) {
  const std::uint64_t begin = now_ns();
  const std::span<const std::byte* const> places = crew_->finish(host);
  stats_.io_wait_ns += now_ns() - begin;
  for (const TensorDesc& desc : group.file) stats_.bytes_read += byte_size(desc);
  if (device_.info().unified) return bring_unified(group, bank, slot, host, places, compute);
  const auto wait_for = [&](const Event& event) {
    if (event.stream != nullptr) upload_->wait(event);
  };
  wait_for(bank.last_use[static_cast<std::size_t>(slot)]);
  std::byte* raw = nullptr;
  if (!raw_.empty()) {
    next_raw_ = (next_raw_ + 1) % raw_.size();
    wait_for(raw_free_[next_raw_]);
    raw = raw_[next_raw_].data();
  }
  std::array<std::byte*, kMostExpertMatrices> to_pack{};
  for (std::size_t m = 0; m < places.size(); ++m) {
    const std::size_t bytes = byte_size(group.file[m]);
    std::byte* to =
        bank.slabs[m].data() + static_cast<std::size_t>(slot) * byte_size(group.wanted[m]);
    if (group.pack[m].run != nullptr) {
      to = to_pack[m] = raw;
      raw += aligned(bytes);
    }
    upload_->copy({to, bytes, MemoryKind::device}, pinned(places[m], bytes));
    stats_.bytes_uploaded += bytes;
  }
  host_free_[host] = upload_->record();
  compute.wait(host_free_[host]);
  for (std::size_t m = 0; m < places.size(); ++m)
    if (to_pack[m] != nullptr)
      pack(group, m, to_pack[m],
           bank.slabs[m].data() + static_cast<std::size_t>(slot) * byte_size(group.wanted[m]),
           compute);
  if (!raw_.empty()) raw_free_[next_raw_] = compute.record();
}

// Reads run ahead of uploads by as many experts as there are slots on the host.
void StreamedExperts::fill(const Launch& launch, Bank& bank,
                           std::span<const ExpertCache::Miss> misses, Stream& compute) {
  const std::size_t ahead = crew_->slots();
  const std::size_t first = next_host_;
  std::size_t started = 0;
  std::size_t finished = 0;  // reads whose end was waited for
  std::size_t there = 0;
  try {
    for (; there < misses.size(); ++there) {
      for (; started < misses.size() && started < there + ahead; ++started)
        start_read(launch, misses[started].expert, (first + started) % ahead, compute);
      finished = there + 1;
      bring(groups_[launch.group], bank, misses[there].slot, (first + there) % ahead, compute);
    }
  } catch (...) {
    for (; finished < started; ++finished) crew_->abandon((first + finished) % ahead);
    for (; there < misses.size(); ++there) bank.cache.forget(misses[there].slot);
    throw;
  }
  next_host_ = (first + misses.size()) % ahead;
}

ExpertLease StreamedExperts::acquire(std::uint32_t launch_number,
                                     std::span<const std::int32_t> wanted,
                                     std::span<std::int32_t> slots, Stream& compute) {
  const Launch& launch = launches_[launch_number];
  Group& group = groups_[launch.group];
  Bank& bank = group.banks[launch.bank];
  fill(launch, bank, bank.cache.request(launch.layer_of_bank, wanted, slots), compute);
  leased_.clear();
  for (const std::int32_t slot : slots)
    if (slot >= 0) leased_.push_back(slot);
  ExpertLease lease;
  lease.launch = launch_number;
  for (std::size_t m = 0; m < bank.slabs.size(); ++m) {
    TensorDesc desc = group.wanted[m];
    desc.shape[0] = group.experts;
    lease.matrices[m] = dense_view(bank.slabs[m].data(), desc);
  }
  return lease;
}

void StreamedExperts::release(const ExpertLease& lease, const Event& last_use) {
  const Launch& launch = launches_[lease.launch];
  Bank& bank = groups_[launch.group].banks[launch.bank];
  for (const std::int32_t slot : leased_) bank.last_use[static_cast<std::size_t>(slot)] = last_use;
}

ExpertStats StreamedExperts::stats() const {
  ExpertStats all = stats_;
  for (const Group& group : groups_)
    for (const Bank& bank : group.banks) all.counts += bank.cache.counts();
  return all;
}

}  // namespace strata
