#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/vendor_libraries.h"

namespace strata {

/// What NVIDIA's driver tells of a GPU beyond what CUDA does, at one moment. Empty where it does
/// not tell.
struct Telemetry {
  std::optional<std::string> uuid;            ///< "GPU-..."
  std::optional<std::string> driver_version;  ///< "580.65.06"
  std::optional<unsigned> clock_mhz, max_clock_mhz;
  std::optional<unsigned> memory_clock_mhz, max_memory_clock_mhz;
  std::optional<double> power_limit_watts;
  std::optional<unsigned> pcie_generation, max_pcie_generation;
  std::optional<unsigned> pcie_width, max_pcie_width;  ///< lanes
  std::optional<std::uint64_t> memory_used_bytes;      ///< by everybody, and the driver itself
  /// Why the clocks are below their maximum: "idle", "power cap", ...; none: they are not.
  std::optional<std::vector<std::string>> throttle_reasons;
};

/// NVIDIA's management library, opened at run time and closed by the destructor. One thread at a
/// time.
class Nvml {
 public:
  /// Does not throw: see why(). Tests give the path of a library of their own.
  explicit Nvml(const std::string& library = kNvmlNames[0]);
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml();

  bool usable() const { return why_.empty(); }
  /// Why it cannot be used; "" when it can.
  const std::string& why() const { return why_; }
  /// "13.580.65"; "" where it does not say.
  std::string version() const;
  /// Of the GPU at an address like "0000:65:00.0"; all is empty where there is none, or no library.
  Telemetry telemetry(const std::string& pci_bus_id) const;

 private:
  std::string text_of(int status) const;

  SharedLibrary library_;
  std::string why_;
};

/// What the bits that NVML gives for slowed clocks stand for.
std::vector<std::string> throttle_reasons(unsigned long long bits);

}  // namespace strata
