#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/streaming/block_reader.h"

namespace strata {

struct ProbeOptions {
  int threads = 2;                  ///< that read at once, each into a slot of its own
  double seconds_per_method = 0.3;  ///< about; at least one unit for each thread is read
  /// What is read is dropped from the page cache first: the speed of the disk, which counts when
  /// the streamed bytes are more than memory keeps.
  bool cold = false;
  ReaderOptions reader = {};
};

struct ProbedMethod {
  ReadMethod method = ReadMethod::buffered;  ///< what was asked for
  double bytes_per_second = 0;
  double unit_seconds = 0;  ///< that a small unit takes beside its bytes, `threads` reading at once
  double cpu_seconds = 0;   ///< of one CPU, for each byte
  std::string note;         ///< of the reader: what it fell back to
};

/// Which method reads this file fastest at this moment.
struct ProbedReader {
  ReadMethod method = ReadMethod::buffered;
  double bytes_per_second = 0;
  std::vector<ProbedMethod> tried;  ///< one for each method
};

/// Reads units of `sweep` into `slots` (as StagingRing wants them) by each method, in turns and in
/// different places of the files, and times it. A method that fell back to another does not win
/// over that one. CPU time is the process's: nothing else should be at work in it. Blocks; throws
/// what reading throws, and Error(runtime) without units or slots.
ProbedReader probe_reader(const std::shared_ptr<const ModelFile>& file,
                          std::span<const StreamUnit> sweep,
                          std::span<const std::span<std::byte>> slots, ProbeOptions options = {});

/// Bytes per second of copying host memory that no cache holds; the best of a few rounds.
double probe_host_copy();

/// Bytes per second of copies from pinned memory to the device, `bytes` each, on an upload stream;
/// the best of a few rounds. 0 where host memory is device memory and nothing is uploaded. Throws
/// Error(out_of_memory) when the device has not got the bytes.
double probe_upload(Device& device, std::uint64_t bytes = std::uint64_t{16} << 20);

}  // namespace strata
