#!/usr/bin/env bash
# Shared by tools/demo.sh and tools/test.sh, which source it: finds what is missing, installs it
# from the distribution's packages, configures and builds. Nothing here runs by being sourced.

STRATA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STRATA_LOGS=$STRATA_ROOT/build/logs
STRATA_CONFIGURE_ARGS=()
STRATA_INSTALLED_SOMETHING=no

# What the build and its tests use; the names are the same on Debian 12, Debian 13 and Ubuntu 24.04.
STRATA_PACKAGES=(cmake ninja-build g++ pkg-config ccache mold git
  nlohmann-json3-dev libfmt-dev libpcre2-dev libutf8proc-dev libxxhash-dev liburing-dev
  libgtest-dev libgmock-dev libvulkan-dev glslc)

# The CUDA toolkit as PyPI wheels, all of one release: CUDA 13.0 runs on drivers from 580 on.
STRATA_CUDA_WHEELS=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
  nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96 nvidia-cublas==13.1.0.3
  nvidia-nccl-cu13==2.28.9)

# What shows the code of compiled kernels, which packages of nvcc may lack: for a test only.
STRATA_CUDA_CODE_WHEELS=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)

# Objects of one checkout serve every other one: ccache sees paths relative to the checkout.
export CCACHE_BASEDIR=$STRATA_ROOT CCACHE_NOHASHDIR=1

say() { printf '%s\n' "$*"; }
step() { printf '== %s\n' "$*"; }

# Ends the script: what is wrong, then what to try (may be empty).
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  try: %s\n' "$2" >&2
  exit 1
}

# The distribution as "debian-12", "ubuntu-24.04", or "unknown".
distribution() {
  local ID=unknown VERSION_ID=''
  # shellcheck source=/dev/null
  [ -r /etc/os-release ] && . /etc/os-release
  printf '%s-%s\n' "$ID" "$VERSION_ID"
}

# What the HIP backend is compiled with, one a line: Debian 12's hipcc is too old for gfx942 and
# gfx1100, so clang takes its place. Elsewhere the backend is off, or ROCm's own packages are used.
hip_packages() {
  case $(distribution) in
    debian-12) printf '%s\n' hipcc libamdhip64-dev rocm-device-libs \
      clang-19 clang-tools-19 lld-19 llvm-19 ;;
    debian-13) printf '%s\n' hipcc libamdhip64-dev ;;
  esac
}

# What tests use beyond the build's packages, one a line: a Vulkan device played by the CPU with the
# checks of how it is used, and what the HIP backend, the format check and the op tests for other
# CPUs need; these are off or skipped where there is none.
test_packages() {
  printf '%s\n' mesa-vulkan-drivers vulkan-validationlayers
  hip_packages
  case $(distribution) in
    debian-12 | debian-13) printf '%s\n' clang-format-19 g++-aarch64-linux-gnu qemu-user ;;
  esac
}

# Which of the packages named are not installed, one a line.
missing_packages() {
  local installed package
  # shellcheck disable=SC2016  # dpkg-query's own format string
  installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null)
  for package in "$@"; do
    grep -q "^ii  *$package\$" <<<"$installed" || printf '%s\n' "$package"
  done
}

# Installs what is missing of the packages named: as root, or by sudo if it asks no password. Else
# prints the one command that does it and ends the script, before anything is built.
install_packages() {
  local missing as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    need_programs
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -eq 0 ]; then
    step "Packages: all $# are installed"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      ask_for_packages "${missing[@]}"
    fi
    as_root=(sudo -n)
  fi
  step "Packages: installing ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
  logged packages install_with_apt
  STRATA_INSTALLED_SOMETHING=yes
}

# Called by install_packages, whose `apt` and `missing` it uses. Stale lists are better than none.
install_with_apt() {
  "${apt[@]}" update || say "apt-get update failed; going on with the lists that are there"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

ask_for_packages() {
  local sudo='' how='as root'
  if command -v sudo >/dev/null; then
    sudo='sudo '
    how='(it asks for your password)'
  fi
  say "These packages are missing, and this user cannot install them without a password: $*"
  say "Run this once $how, then start again:"
  say ""
  say "  ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends $*"
  say ""
  exit 1
}

# On a system without Debian's packages: the programs must be there, the libraries CMake finds.
need_programs() {
  local program lacking=()
  for program in cmake ninja g++ pkg-config; do
    command -v "$program" >/dev/null || lacking+=("$program")
  done
  [ ${#lacking[@]} -eq 0 ] ||
    fail "not found: ${lacking[*]}, and this system ($(distribution)) has no apt-get" \
      "install what Debian calls: ${STRATA_PACKAGES[*]}"
  step "Packages: no apt-get here; using what is installed"
}

# Runs a command with its output in build/logs/<name>.log; on failure shows the log's end and stops.
logged() {
  local name=$1
  shift
  mkdir -p "$STRATA_LOGS"
  "$@" >"$STRATA_LOGS/$name.log" 2>&1 || show_log_and_stop "$name"
}

# Shows what matters of a log: from the first failed step of a build, else its end.
show_log_and_stop() {
  local log=$STRATA_LOGS/$1.log
  printf '\n' >&2
  if grep -q '^FAILED: ' "$log"; then
    sed -n '/^FAILED: /,$p' "$log" | grep -v '^\[[0-9]*/[0-9]*\] ' | head -n 40 >&2
  else
    tail -n 40 "$log" >&2
  fi
  fail "$1 failed; its output stands above" "the whole of it: build/logs/$1.log"
}

# How many compilers to run at once: one per CPU, and about one per GiB of free memory.
build_jobs() {
  local cpus memory_kib file bytes jobs
  cpus=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    bytes=$(cat "$file" 2>/dev/null) || continue
    if [[ $bytes =~ ^[0-9]{1,15}$ ]] && [ $((bytes / 1024)) -lt "$memory_kib" ]; then
      memory_kib=$((bytes / 1024))
    fi
  done
  jobs=$((memory_kib / 1048576))
  [ "$jobs" -lt "$cpus" ] || jobs=$cpus
  [ "$jobs" -ge 1 ] || jobs=1
  printf '%s\n' "$jobs"
}

# build_preset PRESET TARGET...: configures build/PRESET if that was not done with these arguments,
# then builds the targets ("all" for everything). Prints one line, with a dot per tenth of the work.
build_preset() {
  local preset=$1 started=$SECONDS folder=$STRATA_ROOT/build/$1
  shift
  local arguments="${STRATA_CONFIGURE_ARGS[*]}"
  # A checkout that was copied or moved with its build folder: CMake would refuse that folder.
  if [ -f "$folder/CMakeCache.txt" ] &&
    ! grep -qFx "CMAKE_HOME_DIRECTORY:INTERNAL=$STRATA_ROOT" "$folder/CMakeCache.txt"; then
    rm -rf "$folder"
  fi
  if [ ! -f "$folder/build.ninja" ] || [ "$STRATA_INSTALLED_SOMETHING" = yes ] ||
    [ "$(cat "$folder/.configured-with" 2>/dev/null)" != "$arguments" ]; then
    step "Configuring $preset (what is on, what is off and why: build/logs/configure-$preset.log)"
    logged "configure-$preset" cmake -S "$STRATA_ROOT" --preset "$preset" \
      "${STRATA_CONFIGURE_ARGS[@]}"
    printf '%s\n' "$arguments" >"$folder/.configured-with"
  fi
  mkdir -p "$STRATA_LOGS"
  printf '== Building %s ' "$preset"
  (set -o pipefail
    cd "$STRATA_ROOT" && cmake --build --preset "$preset" -j "$(build_jobs)" --target "$@" 2>&1 |
      tee "$STRATA_LOGS/build-$preset.log" | dots) || show_log_and_stop "build-$preset"
  say " done ($((SECONDS - started)) s)"
}

# Reads ninja's "[12/180] ..." lines; prints a dot for each tenth of them.
dots() {
  local line shown=0
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      while [ $((shown * BASH_REMATCH[2])) -lt $((BASH_REMATCH[1] * 10)) ]; do
        printf .
        shown=$((shown + 1))
      done
    fi
  done
}

# The CUDA architectures that the scripts build for: those of the GPUs that are here, or Hopper's
# alone where there are none, which shows that the kernels compile. A build by hand, and CUDAARCHS,
# decide otherwise: four architectures take four times as long.
choose_cuda_architectures() {
  local capability architectures=''
  [ -z "${CUDAARCHS:-}" ] || return 0
  while read -r capability; do
    [[ $capability =~ ^[0-9]+\.[0-9]$ ]] || continue
    capability=${capability/./}
    [ "$capability" != 90 ] || capability=90a
    [[ ";$architectures;" == *";$capability-real;"* ]] || architectures+="${architectures:+;}$capability-real"
  done < <(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null)
  STRATA_CONFIGURE_ARGS+=("-DCMAKE_CUDA_ARCHITECTURES=${architectures:-90a-real}")
}

# --with-cuda: an installed nvcc of CUDA 13, else the toolkit from PyPI wheels in .cache/cuda, which
# needs no root.
setup_cuda() {
  local nvcc candidate venv=$STRATA_ROOT/.cache/cuda
  nvcc=$(command -v nvcc) || nvcc=
  for candidate in "${CUDACXX:-}" /usr/local/cuda/bin/nvcc; do
    if [ -z "$nvcc" ] && [ -n "$candidate" ] && [ -x "$candidate" ]; then
      nvcc=$candidate
    fi
  done
  if [ -n "$nvcc" ] && ! "$nvcc" --version | grep -qE 'release (1[3-9]|[2-9][0-9])\.'; then
    step "CUDA: $nvcc is older than 13.0"
    nvcc=
  fi
  if [ -z "$nvcc" ]; then
    install_cuda_wheels "$venv"
    nvcc=$(find "$venv/lib" -path '*/nvidia/cu13/bin/nvcc' | head -n 1)
  fi
  [ -n "$nvcc" ] || fail "no nvcc in $venv after installing it" "rm -r $venv, then start again"
  local version
  version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  [ -n "$version" ] || fail "$nvcc does not answer --version"
  step "CUDA: nvcc $version at $nvcc"
  STRATA_CONFIGURE_ARGS+=("-DCMAKE_CUDA_COMPILER=$nvcc")
}

install_cuda_wheels() {
  local venv=$1 wanted="${STRATA_CUDA_WHEELS[*]}"
  [ "$(cat "$venv/.wheels" 2>/dev/null)" = "$wanted" ] && return
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
  step "CUDA: no nvcc on this machine; installing the toolkit into .cache/cuda (1.1 GB)"
  logged cuda-venv python3 -m venv --clear "$venv"
  logged cuda-wheels "$venv/bin/pip" install --disable-pip-version-check "${STRATA_CUDA_WHEELS[@]}"
  printf '%s\n' "$wanted" >"$venv/.wheels"
}

# Where there is an nvcc without cuobjdump or nvdisasm: brings them into .cache/cuda-code. Without them
# a test is skipped, so that it is no error when they cannot be had.
setup_cuda_code() {
  local venv=$STRATA_ROOT/.cache/cuda-code wanted="${STRATA_CUDA_CODE_WHEELS[*]}"
  [ -x /usr/local/cuda/bin/nvcc ] || [ -d "$STRATA_ROOT/.cache/cuda" ] || command -v nvcc >/dev/null ||
    return 0
  [ "$(cat "$venv/.wheels" 2>/dev/null)" != "$wanted" ] || return 0
  if [ -n "$(PATH=$PATH:/usr/local/cuda/bin command -v cuobjdump)" ] &&
    [ -n "$(PATH=$PATH:/usr/local/cuda/bin command -v nvdisasm)" ]; then
    return 0
  fi
  mkdir -p "$STRATA_LOGS"
  if python3 -m venv --clear "$venv" >"$STRATA_LOGS/cuda-code.log" 2>&1 &&
    timeout 60 "$venv/bin/pip" install --disable-pip-version-check "${STRATA_CUDA_CODE_WHEELS[@]}" \
      >>"$STRATA_LOGS/cuda-code.log" 2>&1; then
    printf '%s\n' "$wanted" >"$venv/.wheels"
    step "CUDA: cuobjdump and nvdisasm in .cache/cuda-code"
  else
    step "CUDA: no cuobjdump could be had (build/logs/cuda-code.log): its test is skipped"
  fi
}
