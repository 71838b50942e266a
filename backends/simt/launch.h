#pragma once

#include "runtime/core/device.h"

// What every twin of platform.h needs for its launch(). Included by platform.h, which has named
// the namespace.
namespace strata::STRATA_SIMT {

/// Blocks of a launch. x < 2^31, y and z < 65536.
struct Grid {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

/// A stream, and where in the sources it is handed to launch(): the file is named after the op, so
/// an error can say whose kernel it was.
struct LaunchSite {
  LaunchSite(Stream& on, const char* source = __builtin_FILE(), int at = __builtin_LINE())
      : stream(&on), file(source), line(at) {}
  Stream* stream;
  const char* file;
  int line;
};

/// Whether a kernel may begin before the one in front of it has ended.
enum class Start : unsigned char { after_previous, overlapped };

/// A launch without its arguments.
struct LaunchShape {
  Grid blocks;
  unsigned threads = 1;
  std::size_t shared_bytes = 0;
  Start start = Start::after_previous;
};

/// Enqueues a kernel of this backend; arguments[i] points to its i-th argument. Throws Error naming
/// the source file and the shape when the launch is refused. In simt_stream.cpp.
void launch_kernel(const LaunchSite& site, const void* kernel, const LaunchShape& shape,
                   void** arguments);

/// Counters in device memory that last_of_blocks() takes (tickets.h): zero before and after every
/// kernel, as kernels of one stream come one after the other.
inline constexpr std::int64_t kTickets = 8192;
/// Those of a compute stream; null of others. In simt_stream.cpp.
unsigned* tickets_of(Stream& stream);

}  // namespace strata::STRATA_SIMT
