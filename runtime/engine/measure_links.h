#pragma once

#include <vector>

#include "runtime/core/device.h"
#include "runtime/engine/programs.h"
#include "runtime/models/model.h"
#include "runtime/streaming/link_probe.h"
#include "runtime/streaming/link_speeds.h"

namespace strata {

/// How fast weights of a model can be on their way, and which way of reading the file is fastest.
struct MeasuredLinks {
  LinkSpeeds speeds;
  ReadMethod method = ReadMethod::buffered;
  std::vector<ProbedMethod> tried;  ///< every method
  int cpus = 1;                     ///< that the CPU device computes with

  /// Takes another method than the fastest: with its speed, whatever that is. One that was not
  /// tried changes nothing.
  void read_by(ReadMethod wanted);
};

/// Measures, now, what weights of this model would pass on their way to `device`: the disk, copies
/// in host memory, uploads, and what the device and `cpu` (the same, or beside it) read and
/// compute. Takes a second or two, and part of the devices' free memory for as long; what there is
/// no memory for stays 0, not measured. Nothing else may use the devices meanwhile. Throws
/// Error{io}.
MeasuredLinks measure_links(const Model& model, Device& device, Device& cpu,
                            const ProgramOptions& options);

}  // namespace strata
