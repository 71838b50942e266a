#!/usr/bin/env bash
# Runs the op tests as other CPUs would, in qemu's user emulation: x86-64 with AVX2 and without AVX
# (the program that tools/test.sh built), and 64-bit ARM without and with its dot product and matrix
# extensions (cross-compiled; only the tested part, cmake/op_tests).
set -u
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
  cat <<'TXT'
Usage: tools/check_other_cpus.sh [--filter GTEST_FILTER]

What is not found here is skipped, with the reason. The last line is "N passed, N failed,
N skipped", counting test cases once per CPU; the exit status is 0 only if nothing failed.
TXT
}

# The arithmetic of every kernel; what only counts threads or files is the same on every CPU.
filter='Isa.*:Linear*:Quantize.*:Dequantize*:Pack*:Attention*:Rope*:RmsNorm*:*Elementwise*'
while [ $# -gt 0 ]; do
  case $1 in
    --filter) filter=${2:?--filter needs a value}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "$1: no such option" ;;
  esac
  shift
done

passed=0
failed=0
skipped=0

skip() {
  say "SKIP: $1"
  skipped=$((skipped + 1))
}

# run_as CPU EMULATOR PROGRAM [EMULATOR_ARGUMENT...]: the op tests on that CPU.
run_as() {
  local cpu=$1 emulator=$2 program=$3 started=$SECONDS log=$STRATA_LOGS/ops-$1.log status=0
  shift 3
  "$emulator" "$@" -cpu "$cpu" "$program" --gtest_brief=1 "--gtest_filter=$filter" \
    >"$log" 2>&1 || status=$?
  local good bad left
  good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests\{0,1\}\.$/\1/p' "$log")
  bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) tests\{0,1\}, listed below:$/\1/p' "$log")
  left=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) tests\{0,1\}, listed below:$/\1/p' "$log")
  if [ "$status" -ne 0 ] && [ -z "$bad" ]; then
    bad=1  # it crashed: an instruction that this CPU has not got
  fi
  passed=$((passed + ${good:-0}))
  failed=$((failed + ${bad:-0}))
  skipped=$((skipped + ${left:-0}))
  say "== Op tests on $cpu: ${good:-0} passed, ${bad:-0} failed ($((SECONDS - started)) s)"
  if [ "$status" -ne 0 ]; then
    grep -E '^\[  FAILED  \]|: Failure$|qemu:' "$log" | sort -u | head -n 20
    say "   All output: build/logs/ops-$cpu.log (status $status)"
  fi
}

check_x86() {
  local program=$STRATA_ROOT/build/release/bin/ops_test
  [ "$(uname -m)" = x86_64 ] || { skip "x86-64 op tests: this is $(uname -m)"; return; }
  command -v qemu-x86_64 >/dev/null || { skip "x86-64 op tests: no qemu-x86_64 (qemu-user)"; return; }
  [ -x "$program" ] || { skip "x86-64 op tests: build/release/bin/ops_test is not built"; return; }
  if ! qemu-x86_64 -cpu help | grep -q '^x86 Haswell '; then
    skip "x86-64 op tests: this qemu-x86_64 has no Haswell"
    return
  fi
  run_as Haswell qemu-x86_64 "$program"
  run_as Nehalem qemu-x86_64 "$program"
}

check_aarch64() {
  local what='64-bit ARM op tests' folder=$STRATA_ROOT/build/aarch64-ops started=$SECONDS
  command -v aarch64-linux-gnu-g++ >/dev/null ||
    { skip "$what: no cross compiler (g++-aarch64-linux-gnu)"; return; }
  command -v qemu-aarch64 >/dev/null || { skip "$what: no qemu-aarch64 (qemu-user)"; return; }
  [ -r /usr/src/googletest/CMakeLists.txt ] ||
    { skip "$what: no sources of GoogleTest (libgtest-dev)"; return; }
  [ -r /usr/include/fmt/format.h ] || { skip "$what: no headers of {fmt} (libfmt-dev)"; return; }
  logged configure-aarch64-ops cmake -S "$STRATA_ROOT/cmake/op_tests" -B "$folder" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release \
    "-DCMAKE_TOOLCHAIN_FILE=$STRATA_ROOT/cmake/toolchains/aarch64-linux-gnu.cmake"
  logged build-aarch64-ops cmake --build "$folder" -j "$(build_jobs)" --target ops_test
  step "Built the op tests for 64-bit ARM ($((SECONDS - started)) s)"
  local root=(-L /usr/aarch64-linux-gnu)
  run_as cortex-a72 qemu-aarch64 "$folder/bin/ops_test" "${root[@]}"   # no dot products
  run_as neoverse-n1 qemu-aarch64 "$folder/bin/ops_test" "${root[@]}"  # dot products
  run_as max qemu-aarch64 "$folder/bin/ops_test" "${root[@]}"          # and matrices, bf16
}

mkdir -p "$STRATA_LOGS"
check_x86
check_aarch64
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
