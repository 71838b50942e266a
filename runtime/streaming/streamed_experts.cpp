#include "runtime/streaming/streamed_experts.h"

#include <algorithm>
#include <array>
#include <set>

namespace strata {
namespace {

constexpr std::size_t kRawSlots = 2;
constexpr std::size_t kAlign = 256;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

TensorDesc one_expert(TensorDesc desc, Layout layout) {
  desc.layout = layout;
  desc.shape[0] = 1;
  return desc;
}

PreparedOp pack_op(Device& device, const TensorDesc& from, const TensorDesc& to) {
  return from == to ? PreparedOp{} : prepare_op(device, {Pack{}, {from}, {}, {to}});
}

// The most below `too_many` that fit, as more need no less; 0: none does.
template <typename Fits>
std::int64_t most_that_fit(std::int64_t too_many, Fits&& does_fit) {
  std::int64_t fit = 0;
  while (fit + 1 < too_many) {
    const std::int64_t middle = fit + (too_many - fit) / 2;
    (does_fit(middle) ? fit : too_many) = middle;
  }
  return fit;
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
  Group& group = groups_[launch.group];
  launch.of_group = group.launches++;
  for (const StreamUnit& unit : launch.units)
    group.host_slot_bytes = std::max(group.host_slot_bytes, BlockReader::slot_bytes(unit));
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

// Where nothing is kept all launches have the same slots for what is on its way.
std::vector<HostExperts::Group> StreamedExperts::host_groups(const ExpertOptions& options) const {
  std::vector<HostExperts::Group> hosts;
  HostExperts::Group shared{static_cast<std::int32_t>(launches_.size()), 0, 1, options.host_slots};
  for (const Group& group : groups_) {
    shared.experts = std::max(shared.experts, group.experts);
    shared.slot_bytes = std::max(shared.slot_bytes, group.host_slot_bytes);
    const std::int64_t kept = options.kept * group.launches / layers();
    const std::int64_t all = std::int64_t{group.launches} * group.experts;
    hosts.push_back({group.launches, group.experts, group.host_slot_bytes,
                     std::max<std::int64_t>(std::min(kept, all), options.host_slots)});
  }
  return options.kept > 0 ? hosts : std::vector{shared};
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
  for (const HostExperts::Group& group : host_groups(options))
    need.pinned += HostExperts::bytes(group.slot_bytes, group.slots, options.host_slots);
  for (const Group& group : groups_)
    for (const std::int32_t slots : share_of(group, options).slots)
      for (const TensorDesc& desc : group.wanted)
        need.device += static_cast<std::uint64_t>(slots) * byte_size(desc);
  return need;
}

std::int64_t StreamedExperts::all() const {
  std::int64_t experts = 0;
  for (const Group& group : groups_) experts = std::max<std::int64_t>(experts, group.experts);
  return experts * layers();
}

std::int64_t StreamedExperts::most_slots(ExpertOptions options, std::uint64_t device_bytes) const {
  return most_that_fit(all() + 1, [&](std::int64_t slots) {
    options.slots = slots;
    return memory(options).device <= device_bytes;
  });
}

std::int64_t StreamedExperts::most_kept(ExpertOptions options, std::uint64_t pinned_bytes) const {
  return most_that_fit(all() + 1, [&](std::int64_t kept) {
    options.kept = kept;
    return memory(options).pinned <= pinned_bytes;
  });
}

double StreamedExperts::uniform_hit_rate(const ExpertOptions& options) const {
  double found = 0;
  for (const Group& group : groups_) {
    const ExpertShare share = share_of(group, options);
    for (const std::int32_t cache : share.cache_of) {
      const std::int32_t slots = share.slots[static_cast<std::size_t>(cache)];
      const auto users = std::ranges::count(share.cache_of, cache);
      if (slots == group.experts * users)
        found += 1;  // nothing is ever pushed out
      else if (users == 1 && slots >= options.used)
        found += static_cast<double>(slots) / group.experts;
    }
  }
  return launches_.empty() ? 0 : found / static_cast<double>(launches_.size());
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
    Bank& bank = group.banks.emplace_back(Bank{{layers_of[b], group.experts, slots}, {}, 0, {}});
    for (const TensorDesc& desc : group.wanted)
      bank.slabs.push_back(
          device_.allocate(static_cast<std::size_t>(slots) * byte_size(desc), MemoryKind::device));
    bank.last_use.resize(static_cast<std::size_t>(slots));
    leased_.reserve(std::max(leased_.capacity(), static_cast<std::size_t>(slots)));
  }
}

void StreamedExperts::observe(Bank& bank) {
  const std::size_t slots = bank.last_use.size();
  for (std::size_t slot = 0; slot < slots; ++slot)
    for (const Buffer& slab : bank.slabs) {
      const std::size_t bytes = slab.bytes() / slots;
      const std::size_t place = observed_.add({slab.data() + slot * bytes, bytes});
      if (slot == 0 && &slab == bank.slabs.data()) bank.observed = place;
    }
}

void StreamedExperts::load(BlockReader& reader, const ExpertOptions& options,
                           SlotObserver* observer) {
  for (std::size_t i = 0; i < groups_.size(); ++i) make_banks(groups_[i], i, options);
  observed_ = SlotTasks(device_.info().unified ? nullptr : observer, kObservedSlots);
  for (Group& group : groups_)
    for (Bank& bank : group.banks) observe(bank);
  if (!device_.info().unified) upload_ = device_.open_stream(StreamRole::upload);
  if (workspace_bytes() > 0) workspace_ = device_.allocate(workspace_bytes(), MemoryKind::device);
  const std::uint64_t raw_bytes = raw_slot_bytes();
  for (std::size_t i = 0; i < kRawSlots && raw_bytes > 0; ++i)
    raw_.push_back(device_.allocate(raw_bytes, MemoryKind::device));
  raw_free_.resize(raw_.size());
  load_host(reader, options);
}

void StreamedExperts::load_host(BlockReader& reader, const ExpertOptions& options) {
  keeps_ = options.kept > 0;
  const std::vector<HostExperts::Group> hosts = host_groups(options);
  std::int32_t most = 0;
  for (const HostExperts::Group& host : hosts) most = std::max(most, host.experts);
  pending_.reserve(static_cast<std::size_t>(most));
  host_.load(device_, reader, hosts, options.host_slots, options.readers);
}

void StreamedExperts::pack(const Group& group, std::size_t matrix, std::byte* from, std::byte* to,
                           Stream& compute) {
  const PreparedOp& op = group.pack[matrix];
  const TensorView in = dense_view(from, group.file[matrix]);
  const TensorView out = dense_view(to, group.wanted[matrix]);
  op.run(compute, op, {{&in, 1}, {}, {&out, 1}}, {workspace_.data(), op.workspace_bytes});
}

void StreamedExperts::bring_unified(const Group& group, Bank& bank, std::int32_t slot,
                                    HostExperts::Slot& host, Stream& compute) {
  for (std::size_t m = 0; m < group.file.size(); ++m) {
    const std::size_t bytes = byte_size(group.wanted[m]);
    std::byte* const to = bank.slabs[m].data() + static_cast<std::size_t>(slot) * bytes;
    if (group.pack[m].run != nullptr)
      pack(group, m, const_cast<std::byte*>(host.places[m]), to, compute);
    else
      compute.copy({to, bytes, MemoryKind::device}, host_span(host.places[m], bytes));
  }
  host.free = compute.record();
}

// File bytes go up beside the computing. Packing is work of the compute stream, in whose order the
// slot's last use comes before; what is copied right into the slot has to wait for it.
void StreamedExperts::bring(const Group& group, Bank& bank, std::int32_t slot,
                            HostExperts::Slot& host, Stream& compute) {
  if (device_.info().unified) return bring_unified(group, bank, slot, host, compute);
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
  for (std::size_t m = 0; m < group.file.size(); ++m) {
    const std::size_t bytes = byte_size(group.file[m]);
    std::byte* to =
        bank.slabs[m].data() + static_cast<std::size_t>(slot) * byte_size(group.wanted[m]);
    const std::size_t seen = observed(bank, slot, m);
    if (group.pack[m].run != nullptr) {
      observed_.fill(compute, seen);
      to = to_pack[m] = raw;
      raw += aligned(bytes);
    } else {
      observed_.fill(*upload_, seen);
    }
    upload_->copy({to, bytes, MemoryKind::device}, host_span(host.places[m], bytes));
    if (to_pack[m] == nullptr) observed_.filled(*upload_, seen);
    stats_.bytes_uploaded += bytes;
  }
  host.free = upload_->record();
  compute.wait(host.free);
  for (std::size_t m = 0; m < group.file.size(); ++m) {
    if (to_pack[m] == nullptr) continue;
    observed_.filled(compute, observed(bank, slot, m));  // by the op that is next
    pack(group, m, to_pack[m],
         bank.slabs[m].data() + static_cast<std::size_t>(slot) * byte_size(group.wanted[m]),
         compute);
  }
  if (!raw_.empty()) raw_free_[next_raw_] = compute.record();
}

void StreamedExperts::start(const Launch& launch, std::int32_t expert, Stream& compute) {
  const StreamUnit& unit = launch.units[static_cast<std::size_t>(expert)];
  Stream& copies = upload_ ? *upload_ : compute;
  const auto number = static_cast<std::int32_t>(&launch - launches_.data());
  pending_.push_back(host_.start(keeps_ ? launch.group : 0, keeps_ ? launch.of_group : number,
                                 expert, unit, copies));
  if (pending_.back().reading) stats_.bytes_read += unit.bytes();
}

// Reads run ahead of uploads.
void StreamedExperts::fill(const Launch& launch, Bank& bank,
                           std::span<const ExpertCache::Miss> misses, Stream& compute) {
  pending_.clear();
  std::size_t finished = 0;
  std::size_t there = 0;
  try {
    for (; there < misses.size(); ++there) {
      while (pending_.size() < std::min(misses.size(), there + host_.most_pending()))
        start(launch, misses[pending_.size()].expert, compute);
      finished = there + 1;
      bring(groups_[launch.group], bank, misses[there].slot, host_.finish(pending_[there]),
            compute);
    }
  } catch (...) {
    for (std::size_t i = there; i < pending_.size(); ++i) host_.drop(pending_[i], i < finished);
    for (; there < misses.size(); ++there) bank.cache.forget(misses[there].slot);
    throw;
  }
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
  all.host_hits = host_.hits();
  all.io_wait_ns = host_.wait_ns();
  all.pageable = host_.kind() == MemoryKind::host;
  for (const Group& group : groups_)
    for (const Bank& bank : group.banks) all.counts += bank.cache.counts();
  return all;
}

}  // namespace strata
