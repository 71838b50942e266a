#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "backends/cpu/kernels/kernels.h"
#include "runtime/core/error.h"

namespace strata::cpu {

namespace baseline {
const Kernels& kernels();
}
#if defined(STRATA_CPU_X86)
namespace avx2 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}
#endif

namespace {

#if defined(STRATA_CPU_X86)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

std::string names(bool only_supported) {
  std::size_t count = 0;
  const IsaVariant* variants = isa_variants(&count);
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    if (!only_supported || variants[i].supported)
      text += fmt::format("{}{}", text.empty() ? "" : ", ", variants[i].name);
  return text;
}

}  // namespace

const IsaVariant* isa_variants(std::size_t* count) {
  static const IsaVariant variants[] = {
#if defined(STRATA_CPU_X86)
      {"avx512", has_avx512(), avx512::kernels},
      {"avx2", has_avx2(), avx2::kernels},
#endif
      {"baseline", true, baseline::kernels},
  };
  *count = std::size(variants);
  return variants;
}

const Kernels& select_kernels(const char* name) {
  const std::string_view wanted = name == nullptr ? "" : name;
  std::size_t count = 0;
  const IsaVariant* variants = isa_variants(&count);
  for (std::size_t i = 0; i < count; ++i) {
    if (wanted.empty() && variants[i].supported) return variants[i].kernels();
    if (wanted != variants[i].name) continue;
    if (!variants[i].supported)
      throw Error(ErrorCode::device_missing, "STRATA_CPU_ISA",
                  fmt::format("this CPU cannot run \"{}\"", wanted),
                  fmt::format("it can run: {}", names(true)));
    return variants[i].kernels();
  }
  throw Error(ErrorCode::usage, "STRATA_CPU_ISA",
              fmt::format("\"{}\" is not an instruction set of this build", wanted),
              fmt::format("one of: {}", names(false)));
}

}  // namespace strata::cpu
