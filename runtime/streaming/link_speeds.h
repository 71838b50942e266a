#pragma once

namespace strata {

/// What each way that weights take can carry, and what computes with them. 0: not measured.
struct LinkSpeeds {
  double disk = 0;         ///< bytes/s out of the model file with the chosen reader, as it is now
  double host_copy = 0;    ///< bytes/s of a copy within host memory
  double upload = 0;       ///< bytes/s from pinned host memory to the device
  double device_read = 0;  ///< bytes/s at which the device's kernels read weights that it holds
  double cpu_read = 0;     ///< bytes/s at which the CPU's kernels read weights in host memory
  double device_flops = 0;
  double cpu_flops = 0;
  /// Bytes/s at which the device reads weights in the file's layout, where that is another than its
  /// kernels want: what streams to unified memory is computed so, and may be on a device of its own
  /// memory. 0 there: not measured, or not with the same bits as result, so that it may not.
  double file_layout_read = 0;
  double file_layout_flops = 0;  ///< of such matmuls; 0: those of others
  double pack = 0;               ///< bytes/s of the file that the device packs; 0: what reading and
                                 ///< writing them takes at `device_read`
  double read_seconds = 0;  ///< that each unit out of the file takes of the disk's time beside its
                            ///< bytes, as many readers at once as there will be
  double read_cpu = 0;      ///< seconds of all usable CPUs together that reading a byte takes
};

}  // namespace strata
