#pragma once

#include <memory>
#include <string>

#include "runtime/core/error.h"
#include "tests/simt_host/platform.h"
#include "tests/simt_host/simt_host.h"

namespace strata::simt_host {

/// A simulated device with a stream, to run kernels on.
struct Bench {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;

  explicit Bench(int lanes, unsigned seed = 1)
      : device(open_simt_host(lanes, seed)), stream(device->open_stream(StreamRole::compute)) {}
};

/// The message of the Error that `body` throws; "" when it throws none.
template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace strata::simt_host
