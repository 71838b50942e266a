#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata {

/// Where a launch's weights come from.
enum class SimSource : std::uint8_t { resident, host, disk };

/// One launch of an op, in execution order: what it reads, and for how long it computes. Times are
/// of the links alone, without jitter.
struct SimLaunch {
  SimSource source = SimSource::resident;
  bool on_cpu = false;       ///< computed on the CPU; its weights are there (resident)
  std::int64_t read_ns = 0;  ///< of the disk's time
  std::int64_t copy_ns = 0;  ///< of the upload engine's; ignored where memory is unified
  std::int64_t pack_ns = 0;  ///< before the op, on the compute stream
  std::int64_t compute_ns = 0;
};

struct SimSettings {
  bool unified = false;          ///< launches use the ring's slots as they are: nothing is copied
  int slots = 3;                 ///< on the device, >= 1
  int ring_slots = 4;            ///< >= 1
  bool free_after_pack = false;  ///< a packed launch's slot is free once it is packed
  std::int64_t read_latency_ns = 0;  ///< of each read, not of the disk's time; reads overlap
  std::int64_t issue_ns = 0;         ///< the executor's thread, for each launch
  std::int64_t switch_ns = 0;        ///< from device to CPU and back, each way
  std::int64_t between_ns = 0;       ///< from a sweep's end to the next one's beginning: sampling
  double jitter = 0;  ///< coefficient of variation of copies and reads: a fixed part and an
                      ///< exponential one, whose mean together is the time given
  std::uint64_t seed = 1;
  int sweeps = 4;       ///< simulated, >= 2
  int warm_sweeps = 1;  ///< the first ones do not count for the steady state; < sweeps
};

/// Times of one sweep, the mean of the steady ones.
struct SimResult {
  double sweep_ns = 0;
  double first_sweep_ns = 0;
  double compute_stall_ns = 0;  ///< the device had nothing to run because weights were missing
  double copy_stall_ns = 0;     ///< the upload engine had a unit and no free slot
  double disk_stall_ns = 0;     ///< the disk had a unit to read and no free ring slot
  double disk_busy_ns = 0;
  double copy_busy_ns = 0;
  double device_busy_ns = 0;
  double cpu_busy_ns = 0;
};

/// Plays sweeps over `launches` in virtual time: readers fill the ring in order, the executor's
/// thread enqueues copies whenever it is in acquire() or release() and finds the next unit in the
/// ring and a slot whose last user is enqueued, copies run one after the other and begin when that
/// user has finished, a ring slot is given back when its copy is done, and the last unit is
/// followed by the first of the next sweep. Device and CPU run one launch at a time, in order; the
/// executor's thread waits for the device before a CPU launch and at a sweep's end. Pure and exact:
/// the same arguments give the same nanoseconds.
SimResult simulate_sweeps(std::span<const SimLaunch> launches, const SimSettings& settings);

}  // namespace strata
