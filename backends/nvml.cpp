#include "backends/nvml.h"

#include <array>

namespace strata {
namespace {

// NVML's own numbers and layouts, which do not change within libnvidia-ml.so.1: its header comes
// with CUDA's toolkit, which this file does without.
using Gpu = void*;
constexpr int kSuccess = 0;
constexpr int kClockSm = 1;
constexpr int kClockMemory = 2;
constexpr unsigned kTextBytes = 96;
struct Memory {
  unsigned long long total, free, used;
};

struct ThrottleBit {
  unsigned long long bit;
  const char* name;
};
constexpr ThrottleBit kThrottleBits[] = {{0x1, "idle"},
                                         {0x2, "application clocks"},
                                         {0x4, "power cap"},
                                         {0x8, "hardware"},
                                         {0x10, "sync boost"},
                                         {0x20, "thermal (software)"},
                                         {0x40, "thermal (hardware)"},
                                         {0x80, "power brake"},
                                         {0x100, "display clocks"}};

// A function that asks one thing of a GPU.
struct Asked {
  const SharedLibrary& library;
  Gpu gpu;

  template <class T, class... Extra>
  bool ask(const char* name, T* value, Extra... extra) const {
    auto* const function = library.function<int(Gpu, Extra..., T*)>(name);
    return function != nullptr && function(gpu, extra..., value) == kSuccess;
  }
  template <class... Extra>
  std::optional<unsigned> number(const char* name, Extra... extra) const {
    unsigned value = 0;
    return ask(name, &value, extra...) ? std::optional(value) : std::nullopt;
  }
};

// What a function that fills in a text says; empty when it fails.
template <class... First>
std::optional<std::string> text_from(const SharedLibrary& library, const char* name,
                                     First... first) {
  auto* const function = library.function<int(First..., char*, unsigned)>(name);
  std::array<char, kTextBytes> text{};
  if (function == nullptr || function(first..., text.data(), kTextBytes - 1) != kSuccess)
    return std::nullopt;
  return std::string(text.data());
}

}  // namespace

std::vector<std::string> throttle_reasons(unsigned long long bits) {
  std::vector<std::string> reasons;
  for (const ThrottleBit& known : kThrottleBits) {
    if ((bits & known.bit) != 0) reasons.emplace_back(known.name);
    bits &= ~known.bit;
  }
  if (bits != 0) reasons.emplace_back("other");
  return reasons;
}

Nvml::Nvml(const std::string& library) : library_(library) {
  if (!library_.loaded()) {
    why_ = library_.why();
    return;
  }
  auto* const begin = library_.function<int()>("nvmlInit_v2");
  if (begin == nullptr) {
    why_ = library + " has no function nvmlInit_v2";
  } else if (const int status = begin(); status != kSuccess) {
    why_ = library + " is there, but nvmlInit_v2 fails: " + text_of(status);
  }
}

Nvml::~Nvml() {
  if (!usable()) return;
  if (auto* const end = library_.function<int()>("nvmlShutdown"); end != nullptr) end();
}

std::string Nvml::text_of(int status) const {
  auto* const text = library_.function<const char*(int)>("nvmlErrorString");
  const char* const words = text != nullptr ? text(status) : nullptr;
  return words != nullptr ? words : "status " + std::to_string(status);
}

std::string Nvml::version() const {
  if (!usable()) return {};
  return text_from(library_, "nvmlSystemGetNVMLVersion").value_or("");
}

Telemetry Nvml::telemetry(const std::string& pci_bus_id) const {
  Telemetry found;
  if (!usable()) return found;
  auto* const handle_of =
      library_.function<int(const char*, Gpu*)>("nvmlDeviceGetHandleByPciBusId_v2");
  Asked asked{library_, nullptr};
  if (handle_of == nullptr || handle_of(pci_bus_id.c_str(), &asked.gpu) != kSuccess) return found;
  found.uuid = text_from(library_, "nvmlDeviceGetUUID", asked.gpu);
  found.driver_version = text_from(library_, "nvmlSystemGetDriverVersion");
  found.clock_mhz = asked.number("nvmlDeviceGetClockInfo", kClockSm);
  found.max_clock_mhz = asked.number("nvmlDeviceGetMaxClockInfo", kClockSm);
  found.memory_clock_mhz = asked.number("nvmlDeviceGetClockInfo", kClockMemory);
  found.max_memory_clock_mhz = asked.number("nvmlDeviceGetMaxClockInfo", kClockMemory);
  if (const auto milliwatts = asked.number("nvmlDeviceGetEnforcedPowerLimit"))
    found.power_limit_watts = *milliwatts * 1e-3;
  found.pcie_generation = asked.number("nvmlDeviceGetCurrPcieLinkGeneration");
  found.max_pcie_generation = asked.number("nvmlDeviceGetMaxPcieLinkGeneration");
  found.pcie_width = asked.number("nvmlDeviceGetCurrPcieLinkWidth");
  found.max_pcie_width = asked.number("nvmlDeviceGetMaxPcieLinkWidth");
  if (Memory memory{}; asked.ask("nvmlDeviceGetMemoryInfo", &memory))
    found.memory_used_bytes = memory.used;
  if (unsigned long long bits = 0; asked.ask("nvmlDeviceGetCurrentClocksThrottleReasons", &bits))
    found.throttle_reasons = throttle_reasons(bits);
  return found;
}

}  // namespace strata
