#!/usr/bin/env bash
# Installs what is missing, builds Strata with its tests, and runs them: optimised, the op tests also
# on emulated CPUs, under AddressSanitizer and UndefinedBehaviorSanitizer, and the threaded ones under
# ThreadSanitizer.
# The last line is the totals of all runs.
set -u
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
  cat <<'TXT'
Usage: tools/test.sh [--quick] [--with-cuda] [--no-install] [--require-shared]

Installs what is missing from the distribution's packages, builds and runs all tests. The last
line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.

  --quick           the optimised build only, without emulated CPUs and sanitizers
  --with-cuda       also bring the CUDA toolkit (from PyPI wheels where no nvcc is found)
  --no-install      install nothing: use what is there
  --require-shared  a test skipped for want of the reference data counts as failed
TXT
}

quick=no
with_cuda=no
install=yes
require_shared=no
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    --with-cuda) with_cuda=yes ;;
    --no-install) install=no ;;
    --require-shared) require_shared=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "$argument: no such option" ;;
  esac
done

mapfile -t packages < <(printf '%s\n' "${STRATA_PACKAGES[@]}"; test_packages)
[ "$install" = no ] || install_packages "${packages[@]}"
[ "$with_cuda" = no ] || setup_cuda
[ "$install" = no ] || setup_cuda_code
choose_cuda_architectures

total_passed=0
total_failed=0
total_skipped=0

# run_tests PRESET: runs the preset's tests, adds to the totals, shows what failed and why skipped.
run_tests() {
  local preset=$1 folder=$STRATA_ROOT/build/$1 started=$SECONDS status=0
  local passed failed skipped unreferenced
  local wrapper=()
  # ThreadSanitizer of older compilers cannot place its memory where the kernel randomises widely.
  if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
    wrapper=(setarch -R)
  fi
  rm -rf "$folder/test-results"
  mkdir -p "$folder/test-results" "$STRATA_LOGS"
  (cd "$STRATA_ROOT" &&
    "${wrapper[@]}" ctest --preset "$preset" --output-junit "$folder/test-results/ctest.junit") \
    >"$STRATA_LOGS/ctest-$preset.log" 2>&1 || status=$?
  read -r passed failed skipped unreferenced < <("$STRATA_ROOT/tools/count_tests.sh" "$folder")
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
  fi
  if [ "$require_shared" = yes ]; then
    failed=$((failed + unreferenced))
    skipped=$((skipped - unreferenced))
  fi
  say "== Tested $preset: $passed passed, $failed failed, $skipped skipped ($((SECONDS - started)) s)"
  if [ "$status" -ne 0 ]; then
    sed -n '/The following tests FAILED/,$p' "$STRATA_LOGS/ctest-$preset.log"
    grep -E '^\[  FAILED  \]|^not formatted: |^[^ ]+:[0-9]+: Failure|ERROR: |WARNING: ThreadSanitizer|runtime error:' \
      "$STRATA_LOGS/ctest-$preset.log" | sort -u | head -n 40
    say "   All output: build/logs/ctest-$preset.log"
  fi
  "$STRATA_ROOT/tools/count_tests.sh" --skips "$folder"
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
}

# The op tests on emulated CPUs; adds to the totals what the last line says.
run_other_cpus() {
  local line log=$STRATA_LOGS/other-cpus.log
  "$STRATA_ROOT/tools/check_other_cpus.sh" >"$log" 2>&1
  line=$(tail -n 1 "$log")
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
    total_passed=$((total_passed + BASH_REMATCH[1]))
    total_failed=$((total_failed + BASH_REMATCH[2]))
    total_skipped=$((total_skipped + BASH_REMATCH[3]))
    sed '$d' "$log"
  else
    total_failed=$((total_failed + 1))
    cat "$log"
  fi
}

build_preset release all
run_tests release
if [ "$quick" = no ]; then
  run_other_cpus
  build_preset asan-ubsan all
  run_tests asan-ubsan
  build_preset tsan strata_thread_tests
  run_tests tsan
fi

say ""
say "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
