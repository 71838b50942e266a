#pragma once

#include <cstdint>

namespace strata {

/// What streaming has moved and waited for since the weights were loaded.
struct StreamStats {
  std::uint64_t units = 0;           ///< used by the executor
  std::uint64_t bytes_read = 0;      ///< from the file, by the readers
  std::uint64_t bytes_uploaded = 0;  ///< to the device; 0 where the host's memory is the device's
  std::uint64_t io_wait_ns = 0;      ///< the executor's thread waited for the readers
  std::uint64_t copy_wait_ns = 0;    ///< ... for copies out of the staging ring
  std::uint64_t units_dropped = 0;   ///< read ahead and not used: a step left out the output matrix
  std::uint64_t restarts = 0;        ///< the order of the sweep was left
  std::uint64_t expert_hits = 0;     ///< experts that a launch found on the device
  std::uint64_t expert_misses = 0;   ///< ... and that had to be brought
  std::uint64_t expert_evictions = 0;  ///< ... in place of another
  std::uint64_t expert_host_hits = 0;  ///< of the misses, came from pinned memory, not the file
  double reader_seconds = 0;           ///< inside reads, summed over the reader threads
  bool pageable = false;  ///< the system refused to pin the host's memory: copies are slower

  StreamStats& operator+=(const StreamStats& other) {
    units += other.units;
    bytes_read += other.bytes_read;
    bytes_uploaded += other.bytes_uploaded;
    io_wait_ns += other.io_wait_ns;
    copy_wait_ns += other.copy_wait_ns;
    units_dropped += other.units_dropped;
    restarts += other.restarts;
    expert_hits += other.expert_hits;
    expert_misses += other.expert_misses;
    expert_evictions += other.expert_evictions;
    expert_host_hits += other.expert_host_hits;
    reader_seconds += other.reader_seconds;
    pageable = pageable || other.pageable;
    return *this;
  }
};

}  // namespace strata
