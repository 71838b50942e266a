#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "backends/cpu/kernels/kernels.h"
#include "runtime/core/error.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace strata::cpu {

// STRATA_CPU_VARIANTS is the list of instruction sets that CMakeLists.txt found the compiler to
// know, best first: STRATA_VARIANT(avx2)STRATA_VARIANT(baseline).
#define STRATA_VARIANT(name) \
  namespace name {           \
  const Kernels& kernels();  \
  }
STRATA_CPU_VARIANTS
#undef STRATA_VARIANT

namespace {

#if defined(__x86_64__)

bool cpu_runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

bool cpu_runs_avx512() {
  return cpu_runs_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

// Whether this CPU, and its operating system, run what the variant is compiled for.
bool cpu_runs(std::string_view isa) {
  if (isa == "avx512bf16") return cpu_runs_avx512() && __builtin_cpu_supports("avx512bf16");
  if (isa == "avx512") return cpu_runs_avx512();
  if (isa == "avxvnni") return cpu_runs_avx2() && __builtin_cpu_supports("avxvnni");
  if (isa == "avx2") return cpu_runs_avx2();
  return isa == "baseline";
}

#elif defined(__aarch64__) && defined(__linux__)

bool cpu_runs(std::string_view isa) {
  const bool dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  constexpr unsigned long matrices = HWCAP2_I8MM | HWCAP2_BF16;
  if (isa == "neon_i8mm") return dotprod && (getauxval(AT_HWCAP2) & matrices) == matrices;
  if (isa == "neon_dotprod") return dotprod;
  return isa == "baseline";
}

#else

bool cpu_runs(std::string_view isa) { return isa == "baseline"; }

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
#define STRATA_VARIANT(name) {#name, cpu_runs(#name), name::kernels},
  static const IsaVariant variants[] = {STRATA_CPU_VARIANTS};
#undef STRATA_VARIANT
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
