#!/usr/bin/env bash
# Builds, tests and measures the GPU backends on a machine with an NVIDIA GPU that has a CUDA
# toolkit, CMake, ninja and python3, and neither a network nor the packages of docs/building.md.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
pack=$PWD/.gpu
build=${STRATA_GPU_BUILD:-build/gpu}
read -ra backends <<<"${STRATA_CHECK_BACKENDS:-cuda hip vulkan}"

usage() {
  cat <<'TXT'
Usage: bench/gpu/check.sh pack                  where the packages are: makes the folder .gpu
       bench/gpu/check.sh build|test|bench|sanitize    on the machine with the GPU

  pack      copies what the build needs beyond compilers (headers, static libraries, shaders, the
            Vulkan loader) and the tests' reference data from $STRATA_SHARED or ../shared into .gpu,
            which git ignores and which travels with the checkout: together at most 64 MiB.
  build     builds the program and its GPU tests for this GPU alone, in build/gpu.
  test      runs the op and model tests on CUDA, on HIP over CUDA and on Vulkan.
  bench     measures the ceilings, products of each weight type, and the speed of models of random
            weights on each backend.
  sanitize  runs the CUDA op tests under compute-sanitizer (memcheck, racecheck).

Each stage stays below ten minutes and adds its part to bench/results/<gpu>-<date>.json (with a copy
in $OUT where that is set). STRATA_BENCH_SHAPES and STRATA_BENCH_TYPES choose what bench runs.
STRATA_CHECK_BACKENDS="vulkan" and STRATA_GPU_BUILD=build/release run test and bench where there is
no GPU, on lavapipe and a build that is there.
TXT
}

step() { printf '== %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  try: %s\n' "$2" >&2
  exit 1
}

# Commands that must be there for a stage.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program not found" "run this stage where it is"
  done
}

# Headers and libraries of the packages that docs/building.md names.
pack_libraries() {
  local header libraries
  libraries=/usr/lib/$(gcc -dumpmachine)
  mkdir -p "$pack/include/vulkan" "$pack/lib"
  for header in fmt nlohmann gtest gmock hip vk_video pcre2.h utf8proc.h xxhash.h xxh3.h; do
    cp -rL "/usr/include/$header" "$pack/include/" 2>/dev/null ||
      [ "$header" = vk_video ] || [ "$header" = xxh3.h ] || fail "/usr/include/$header is missing"
  done
  cp -L /usr/include/vulkan/*.h "$pack/include/vulkan/" || fail "the Vulkan headers are missing"
  cp -L "$libraries"/lib{pcre2-8,utf8proc,xxhash,gtest,gtest_main,gmock}.a "$pack/lib/" ||
    fail "static libraries are missing" "tools/test.sh installs them"
}

# The newest shader compiler at hand, in `glslc`: that of a Debian 13 which
# tools/check_bare_debian.sh made here knows cooperative matrices.
choose_glslc() {
  local folder
  glslc=("${STRATA_GLSLC:-glslc}")
  for folder in "${XDG_CACHE_HOME:-$HOME/.cache}/strata-trixie" /var/tmp/strata-trixie; do
    if [ -z "${STRATA_GLSLC:-}" ] && [ -x "$folder/usr/bin/glslc" ]; then
      glslc=("$folder/lib64/ld-linux-x86-64.so.2" --library-path
        "$folder/usr/lib/x86_64-linux-gnu" "$folder/usr/bin/glslc")
    fi
  done
}

pack_shaders() {
  local shader name glslc
  choose_glslc
  mkdir -p "$pack/shaders"
  for shader in shaders/*.comp; do
    name=$(basename "$shader" .comp)
    "${glslc[@]}" --target-env=vulkan1.2 -O -I shaders -mfmt=c -o "$pack/shaders/$name.inc" \
      "$shader" 2>"$pack/shaders/$name.log" || {
      rm -f "$pack/shaders/$name.inc"
      [[ $name == *_coopmat ]] || fail "$shader does not compile: $(head -n 3 "$pack/shaders/$name.log")"
      printf '   without %s: this glslc does not know cooperative matrices\n' "$name"
    }
  done
  rm -f "$pack"/shaders/*.log
}

# The loaders that NVIDIA's Vulkan driver wants, as packages: x86-64, whatever this machine is.
pack_loaders() {
  local option=(-oAPT::Architecture=amd64 -oAPT::Architectures=amd64
    -oDir::State::Lists="$pack/lists" -oAPT::Sandbox::User=root)
  mkdir -p "$pack/debs" "$pack/lists/partial"
  apt-get "${option[@]}" -q update >/dev/null &&
    (cd "$pack/debs" && apt-get "${option[@]}" -q download libvulkan1 libegl1 libglvnd0 libopengl0 \
      libgl1 libglx0 libgles2 >/dev/null) ||
    printf '   without the Vulkan loader: apt-get download failed\n'
  rm -rf "$pack/lists"
}

pack_reference_data() {
  local shared=${STRATA_SHARED:-../shared} model file
  [ -d "$shared/fixtures" ] || fail "no reference data in $shared" "STRATA_SHARED=FOLDER"
  grep -oE '"(llama|mistral|mixtral|qwen)[a-z0-9-]*"' tests/gpu/models_test.cpp | tr -d '"' | sort -u |
    while read -r model; do
      mkdir -p "$pack/shared/fixtures/models/$model"
      for file in model.gguf expected.json logits.f32; do
        cp "$shared/fixtures/models/$model/$file" "$pack/shared/fixtures/models/$model/"
      done
    done
  mkdir -p "$pack/shared/models"
  cp -r "$shared/models/stories260K" "$pack/shared/models/"
  chmod -R u+w "$pack/shared"
}

pack_stage() {
  local bytes
  need git glslc gcc apt-get
  rm -rf "$pack"
  pack_libraries
  pack_shaders
  pack_loaders
  pack_reference_data
  git describe --always --dirty --abbrev=12 >"$pack/commit"
  bytes=$(($(du -sb "$pack" | cut -f1) + $(git ls-files -z | xargs -0 stat -c %s | awk '{ n += $1 } END { print n }')))
  step "$pack of commit $(cat "$pack/commit"): $((bytes / 1048576)) MiB with the checkout"
  [ "$bytes" -le $((64 * 1048576)) ] || fail "that is more than 64 MiB, and would not travel"
}

# The GPU's own architecture: "90a-real" where it has instructions of its own.
architecture() {
  local number
  number=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
  [ "$number" != 90 ] || number=90a
  printf '%s-real\n' "$number"
}

# The Vulkan loader, where this machine has none and we may put it there.
install_loaders() {
  local deb
  ldconfig -p | grep -q 'libvulkan\.so\.1' && return
  if [ "$(id -u)" -ne 0 ] || ! compgen -G "$pack/debs/*.deb" >/dev/null; then
    step "Vulkan: no loader here; its tests will be skipped"
    return
  fi
  for deb in "$pack"/debs/*.deb; do dpkg -x "$deb" /; done
  ldconfig
}

# Where the driver's own description lies on some machines.
set_vulkan_environment() {
  local icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
  [ ! -f "$icd" ] || export VK_DRIVER_FILES=$icd
  export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp} STRATA_SHARED=$pack/shared
  install_loaders
}

build_stage() {
  local started=$SECONDS status
  need nvidia-smi cmake ninja g++ python3
  [ -d "$pack" ] || fail "no folder .gpu here" "bench/gpu/check.sh pack, before the checkout travels"
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_MODULE_PATH="$PWD/bench/gpu/cmake" -DSTRATA_GPU_PACK="$pack" \
    -DCMAKE_CUDA_ARCHITECTURES="$(architecture)" -DSTRATA_CUDA=ON \
    -DSTRATA_HIP=ON -DSTRATA_HIP_PLATFORM=nvidia -DSTRATA_HIP_INCLUDE="$pack/include" \
    -DSTRATA_VULKAN=ON -DSTRATA_VULKAN_INCLUDE="$pack/include" \
    -DSTRATA_COMPILED_SHADERS="$pack/shaders" || return
  timeout 540 ninja -C "$build" strata strata_hip bench_devices \
    {cuda,hip,vulkan}_{ops,models}_test
  status=$?
  record build seconds=$((SECONDS - started)) status=$status architecture="$(architecture)"
  return "$status"
}

# One test program, as NAME in the results; the ARGUMENTs go to it.
run_tests() {
  local name=$1 program=$2
  shift 2
  step "$name"
  timeout 80 "$build/bin/$program" --gtest_brief=1 --gtest_output="xml:$results/$name.xml" "$@" \
    2>&1 | tail -n 25
  return "${PIPESTATUS[0]}"
}

# Every GPU test program; one that hangs does not take the others' time.
test_stage() {
  local backend what failed=0 results=$PWD/$build/check-tests
  set_vulkan_environment
  rm -rf "$results"
  mkdir -p "$results"
  for backend in "${backends[@]}"; do
    for what in ops models; do
      run_tests "${backend}_${what}" "${backend}_${what}_test" || failed=$((failed + 1))
    done
  done
  # Products of prompts once more by the vendor's library, whatever is faster.
  if [[ " ${backends[*]} " == *" cuda "* ]]; then
    STRATA_MATMUL=library run_tests cuda_library cuda_ops_test \
      '--gtest_filter=Linear.*:LinearGroup.*:LinearGated.*:LinearNorm.*' || failed=$((failed + 1))
  fi
  record test failed_programs=$failed xml="$results"
  [ "$failed" -eq 0 ]
}

# Products of a weight with few and many rows, by type.
bench_kernels() {
  local backend
  for backend in "${backends[@]}"; do
    step "products on $backend"
    timeout 60 "$build/bin/bench_devices" --device "$backend:0" --dtype "${types// /,}" \
      --batch "${STRATA_BENCH_BATCHES:-1,8,64,512}" --shape "${STRATA_BENCH_MATRIX:-4096x4096}" --json \
      >"$results/products.$backend.json" 2>/dev/null || rm -f "$results/products.$backend.json"
  done
}

bench_models() {
  local backend shape type model
  local folder=${STRATA_BENCH_FOLDER:-/dev/shm}
  for shape in $shapes; do
    for type in $types; do
      model=$folder/strata-check-$shape-$type.gguf
      "$strata" synth --shape "$shape" --type "$type" -o "$model" -y -q || continue
      for backend in "${backends[@]}"; do
        [ $((SECONDS - started)) -lt 480 ] || { step "out of time before $shape $type $backend"; continue; }
        step "$shape $type $backend"
        timeout 80 "$strata" bench -m "$model" -dev "$backend:0" -p 512 -n 128 -r 3 -o json \
          >"$results/$shape.$type.$backend.json" || rm -f "$results/$shape.$type.$backend.json"
      done
      rm -f "$model"
    done
  done
}

bench_stage() {
  local started=$SECONDS results=$build/check-bench strata=$build/bin/strata
  local shapes=${STRATA_BENCH_SHAPES:-qwen3-0.6b llama-8b} types=${STRATA_BENCH_TYPES:-Q4_0 Q8_0 BF16 Q4_K}
  set_vulkan_environment
  rm -rf "$results"
  mkdir -p "$results"
  "$strata" doctor
  "$strata" devices --json >"$results/ceilings-before.json"
  bench_kernels
  bench_models
  "$strata" devices --json >"$results/ceilings-after.json"
  record bench seconds=$((SECONDS - started)) json="$results"
}

sanitize_stage() {
  local tool status=0 log sanitizer
  sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$sanitizer" ] || fail "compute-sanitizer not found"
  export STRATA_SHARED=$pack/shared
  for tool in memcheck racecheck; do
    log=$build/sanitize-$tool.log
    step "compute-sanitizer --tool $tool"
    timeout 285 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/bin/cuda_ops_test" \
      --gtest_brief=1 >"$log" 2>&1
    case $? in
      0) record "$tool" found=nothing ;;
      124) record "$tool" found="nothing in the 285 s that it ran"; tail -n 3 "$log" ;;
      *) record "$tool" found="$(grep -E 'SUMMARY|FAILED' "$log" | tail -n 1)"
        tail -n 40 "$log"
        status=1 ;;
    esac
  done
  return "$status"
}

# Adds a stage to the results of this GPU and day: record STAGE NAME=VALUE...
record() { python3 bench/gpu/record.py "$pack/commit" "$build/bin/strata" "$@"; }

case ${1:-} in
  pack | build | test | bench | sanitize) "$1_stage" ;;
  -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
