// Plays NVIDIA's management library: one GPU at 0000:65:00.0. STRATA_FAKE_NVML=broken lets it fail
// as it does where the driver is not loaded. It lacks nvmlDeviceGetMaxPcieLinkWidth, as an old one
// might.
#include <cstdlib>
#include <cstring>

namespace {

int gpu = 0;  // its address is the handle

int write(char* text, unsigned bytes, const char* words) {
  if (std::strlen(words) >= bytes) return 7;
  std::strcpy(text, words);
  return 0;
}

int number(const void* device, unsigned* value, unsigned what) {
  if (device != &gpu) return 2;
  *value = what;
  return 0;
}

struct Memory {
  unsigned long long total, free, used;
};

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const char* const state = std::getenv("STRATA_FAKE_NVML");
  return state != nullptr && std::strcmp(state, "broken") == 0 ? 9 : 0;
}
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int status) {
  return status == 9 ? "Driver Not Loaded" : "Unknown Error";
}
int nvmlSystemGetNVMLVersion(char* text, unsigned bytes) { return write(text, bytes, "13.580.65"); }
int nvmlSystemGetDriverVersion(char* text, unsigned bytes) {
  return write(text, bytes, "580.65.06");
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  if (std::strcmp(id, "0000:65:00.0") != 0) return 6;
  *device = &gpu;
  return 0;
}
int nvmlDeviceGetUUID(void*, char* text, unsigned bytes) { return write(text, bytes, "GPU-1234"); }
int nvmlDeviceGetClockInfo(void* device, int type, unsigned* value) {
  return number(device, value, type == 1 ? 1755 : type == 2 ? 3201 : 1);
}
int nvmlDeviceGetMaxClockInfo(void* device, int type, unsigned* value) {
  return number(device, value, type == 1 ? 1980 : type == 2 ? 3202 : 1);
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* value) {
  return number(device, value, 700'000);
}
int nvmlDeviceGetCurrPcieLinkGeneration(void* device, unsigned* value) {
  return number(device, value, 4);
}
int nvmlDeviceGetMaxPcieLinkGeneration(void* device, unsigned* value) {
  return number(device, value, 5);
}
int nvmlDeviceGetCurrPcieLinkWidth(void* device, unsigned* value) {
  return number(device, value, 16);
}
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {100, 60, 40};
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* bits) {
  *bits = 0x24;
  return 0;
}
}
