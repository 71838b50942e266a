#include "runtime/streaming/residency_time.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "runtime/streaming/residency_place.h"

namespace strata {
namespace {

std::int64_t ns(double seconds) { return std::llround(seconds * 1e9); }

// Bytes over a link that may not have been measured; false: it was not.
bool add_time(double bytes, double speed, double& seconds) {
  if (bytes > 0 && speed <= 0) return false;
  if (bytes > 0) seconds += bytes / speed;
  return true;
}

class LaunchMaker {
 public:
  LaunchMaker(const ResidencyRequest& request, const ResidencyPlan& plan, std::int32_t tokens)
      : request_(request),
        plan_(plan),
        tokens_(tokens),
        cpu_speed_(strata::cpu_speed(request, plan.streams)),
        needs_flops_(tokens > plan.shape.sequences) {
    for (std::size_t i = 0; i < request.units.size(); ++i)
      if (plan.tiers[i] == Tier::host || plan.tiers[i] == Tier::streamed)
        streaming_layers_.insert(request.units[i].layer);
  }

  std::optional<std::vector<SimLaunch>> make() {
    for (std::size_t i = 0; i < request_.units.size(); ++i) {
      const PlanUnit& unit = request_.units[i];
      const Tier tier = plan_.tiers[i];
      const bool known = tier == Tier::device || tier == Tier::cpu
                             ? add_whole(unit, tier == Tier::cpu)
                             : add_streamed(unit, tier == Tier::host);
      if (!known) return std::nullopt;
    }
    return std::move(launches_);
  }

 private:
  // The slower of reading and computing.
  bool compute_seconds(double bytes, double read, double flops, double flop_speed,
                       double& seconds) const {
    if (!add_time(bytes, read, seconds)) return false;
    if (flop_speed <= 0) return !needs_flops_ || flops <= 0;
    seconds = std::max(seconds, flops / flop_speed);
    return true;
  }

  bool add_whole(const PlanUnit& unit, bool cpu) {
    const double share = used_share(unit, tokens_);
    const double bytes = share * static_cast<double>(cpu ? unit.file_bytes : unit.device_bytes);
    double seconds = 0;
    const DeviceSpeed device = device_speed(plan_.block.file_layout && of_streaming_layer(unit));
    if (!compute_seconds(bytes, cpu ? cpu_speed_ : device.read, flops(unit),
                         cpu ? request_.links.cpu_flops : device.flops, seconds))
      return false;
    const double ops = static_cast<double>(std::max<std::size_t>(unit.ops.size(), 1));
    SimLaunch launch;
    launch.on_cpu = cpu;
    launch.compute_ns = ns(seconds + (cpu ? 0 : ops * request_.op_latency));
    launches_.push_back(launch);
    return true;
  }

  double flops(const PlanUnit& unit) const { return unit.flops_per_token * tokens_; }

  bool of_streaming_layer(const PlanUnit& unit) const {
    return streaming_layers_.contains(unit.layer);
  }

  struct DeviceSpeed {
    double read = 0;
    double flops = 0;
  };

  // What is not measured is taken for as fast as with weights that the kernels want.
  DeviceSpeed device_speed(bool file_layout) const {
    const LinkSpeeds& links = request_.links;
    DeviceSpeed speed{links.device_read, links.device_flops};
    if (file_layout && links.file_layout_read > 0) speed.read = links.file_layout_read;
    if (file_layout && links.file_layout_flops > 0) speed.flops = links.file_layout_flops;
    return speed;
  }

  bool add_streamed(const PlanUnit& unit, bool pinned) {
    const double share = used_share(unit, tokens_);
    const std::uint64_t whole[] = {unit.file_bytes};
    const std::span<const std::uint64_t> ops =
        unit.ops.empty() ? std::span<const std::uint64_t>(whole) : unit.ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const std::uint64_t op = ops[i];
      const int copies = i < unit.copies.size() ? unit.copies[i] : 1;
      const double bytes = share * static_cast<double>(op);
      const double target = static_cast<double>(plan_.block.target_bytes);
      const double blocks = std::max(1.0, std::ceil(bytes / std::max(target, 1.0)));
      const double of_unit =
          unit.file_bytes > 0 ? static_cast<double>(op) / static_cast<double>(unit.file_bytes) : 0;
      SimLaunch launch;
      if (!block_times(unit, bytes / blocks, of_unit / blocks, share, pinned, launch)) return false;
      launch.copy_ns += ns(copies * request_.copy_latency);
      launches_.insert(launches_.end(), static_cast<std::size_t>(blocks), launch);
    }
    return true;
  }

  // `bytes` of the file, the share `part` of the unit.
  bool block_times(const PlanUnit& unit, double bytes, double part, double used, bool pinned,
                   SimLaunch& launch) const {
    const LinkSpeeds& links = request_.links;
    double read = 0;
    double copy = 0;
    double pack = 0;
    double compute = 0;
    if (!pinned && !add_time(bytes, links.disk, read)) return false;
    if (!pinned) read += links.read_seconds;
    if (!request_.unified && !add_time(bytes, links.upload, copy)) return false;
    const double packed = part * used * static_cast<double>(unit.device_bytes);
    const bool packs = plan_.block.packed > 0;
    const bool measured = links.pack > 0;
    if (packs && !add_time(measured ? bytes : bytes + packed,
                           measured ? links.pack : links.device_read, pack))
      return false;
    const DeviceSpeed device = device_speed(request_.unified || plan_.block.file_layout);
    if (!compute_seconds(packs ? packed : bytes, device.read, part * flops(unit), device.flops,
                         compute))
      return false;
    // Readers take CPUs away from what computes with them.
    if (request_.unified && !pinned) compute += bytes * links.read_cpu;
    launch.source = pinned ? SimSource::host : SimSource::disk;
    launch.read_ns = ns(read);
    launch.copy_ns = ns(copy);
    launch.pack_ns = packs ? ns(pack + request_.op_latency) : 0;
    launch.compute_ns = ns(compute + request_.op_latency);
    return true;
  }

  const ResidencyRequest& request_;
  const ResidencyPlan& plan_;
  std::int32_t tokens_;
  double cpu_speed_;
  bool needs_flops_;
  std::set<std::int32_t> streaming_layers_;  // of which something streams
  std::vector<SimLaunch> launches_;
};

}  // namespace

// A copy within memory crosses it twice, so it shows what memory carries at the least; the upload
// takes its part of that while the CPU computes.
double cpu_speed(const ResidencyRequest& request, bool streams) {
  const LinkSpeeds& links = request.links;
  if (!streams || links.host_copy <= 0) return links.cpu_read;
  const double memory = std::max(2 * links.host_copy, links.cpu_read);
  return std::min(links.cpu_read, std::max(memory - links.upload, links.cpu_read / 4));
}

std::optional<std::vector<SimLaunch>> launches_of(const ResidencyRequest& request,
                                                  const ResidencyPlan& plan, std::int32_t tokens) {
  return LaunchMaker(request, plan, tokens).make();
}

SimSettings sim_settings(const ResidencyRequest& request, const ResidencyPlan& plan) {
  SimSettings settings;
  settings.unified = request.unified;
  settings.slots = std::max(plan.slots, 1);
  settings.ring_slots = std::max(plan.ring_slots, 1);
  settings.free_after_pack = true;
  settings.switch_ns = ns(request.switch_seconds);
  settings.sweeps = 3;
  return settings;
}

std::vector<LinkUse> link_uses(const ResidencyRequest& request, const ResidencyPlan& plan) {
  double disk = 0;
  double upload = 0;
  double device = 0;
  double cpu = 0;
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    const PlanUnit& unit = request.units[i];
    const double share = used_share(unit, plan.shape.sequences);
    const double bytes = share * static_cast<double>(unit.file_bytes);
    const Tier tier = plan.tiers[i];
    if (tier == Tier::streamed) disk += bytes;
    if (tier == Tier::cpu) cpu += bytes;
    if (tier != Tier::cpu) device += share * static_cast<double>(unit.device_bytes);
    if (!request.unified && (tier == Tier::streamed || tier == Tier::host)) upload += bytes;
  }
  const LinkSpeeds& speeds = request.links;
  std::vector<LinkUse> links = {{"disk", disk, speeds.disk, {}},
                                {"upload", upload, speeds.upload, {}},
                                {"device", device, speeds.device_read, {}},
                                {"cpu", cpu, strata::cpu_speed(request, plan.streams), {}}};
  for (LinkUse& link : links)
    if (link.limit > 0 || link.bytes == 0)
      link.busy_seconds = link.bytes == 0 ? 0 : link.bytes / link.limit;
  return links;
}

}  // namespace strata
