#!/usr/bin/env bash
# Reads from the compiled GPU kernels how many registers they take and what they spill, and from CUDA's
# how many instructions a weight costs. Kernels that decoding lives on (matrix-vector products and
# attention) must spill nothing; those of one row must ask for weights before they wait for the
# kernel in front, read nothing until then, and take few instructions.
set -u

usage() {
  cat <<'TXT'
Usage: tools/check_gpu_registers.sh hip OBJECT_FOLDER [LLVM_FOLDER]
       tools/check_gpu_registers.sh cuda OBJECT_FOLDER

Prints a line per kernel: architecture, registers, bytes of scratch memory, spilled registers, name.
Fails if a kernel of gemv*.cu, linear*.cu or attention*.cu spills. CUDA's gemv kernels of one row of
int8 get a line each with instructions per weight: it fails where they are too many, or where the
kernel reads before it waits. Exit status 77 (skipped) without the tools.
TXT
}

skip() { printf 'SKIP: %s\n' "$1"; exit 77; }

# The newest program of that name among the installed LLVMs (or in the folder given).
llvm_tool() {
  local found
  found=$(find ${llvm:+"$llvm"} /usr/lib/llvm-*/bin /opt/rocm/llvm/bin -maxdepth 1 -name "$1" \
    2>/dev/null | sort -V | tail -n 1)
  [ -n "$found" ] || skip "$1 not found (llvm-19, clang-tools-19)"
  printf '%s\n' "$found"
}

# "arch registers scratch spills kernel" for each kernel of an object that HIP's compiler made.
hip_kernels() {
  local object=$1 target
  "$objcopy" --dump-section ".hip_fatbin=$work/bundle" "$object" 2>/dev/null || return 0
  for target in $("$bundler" --list --type=o --input="$work/bundle" | grep amdgcn); do
    "$bundler" --unbundle --type=o --targets="$target" --input="$work/bundle" \
      --output="$work/code" || return 1
    "$readelf" --notes "$work/code" | awk -v arch="${target##*-}" '
      $1 == ".name:" { name = $2 }
      $1 == ".private_segment_fixed_size:" { scratch = $2 }
      $1 == ".vgpr_count:" { registers = $2 }
      $1 == ".vgpr_spill_count:" { spills = $2 }
      $1 == ".wavefront_size:" { print arch, registers, scratch, spills, name }'
  done
}

# The same of an object that nvcc made, as bytes: spills are not told apart from other local memory.
cuda_kernels() {
  "$cuobjdump" -res-usage "$1" 2>/dev/null | awk -v arch=sm '
    /arch = sm_/ { arch = $3 }
    $1 == "Function" { name = $2; sub(/:$/, "", name) }
    /REG:/ {
      for (i = 1; i <= NF; ++i) {
        split($i, part, ":")
        if (part[1] == "REG") registers = part[2]
        if (part[1] == "STACK") stack = part[2]
        if (part[1] == "LOCAL") local = part[2]
      }
      print arch, registers, stack + local, stack + local, name
    }'
}

# Most instructions of the inner loop per weight; what is not named here is looked up or put together
# from three fields.
most_instructions() {
  case $1 in
    *CodecQ8_0E*) echo 1.1 ;;
    *CodecQ4_0E* | *CodecQ4_1E*) echo 1.5 ;;
    *CodecQ4_KE* | *CodecQ6_KE* | *CodecQ2_KE*) echo 2.9 ;;
    *) echo 3.8 ;;
  esac
}

# A line for each gemv kernel of one row of an object that nvcc made: 8 integer dot products are 32
# weights. Those before sm_90 cannot begin early.
cuda_gemv() {
  local arch name waits prefetches loads instructions products most weights
  "$cuobjdump" -sass "$1" 2>/dev/null | awk -f "$root/tools/cuda_code.awk" |
    while read -r arch name waits prefetches loads instructions products; do
      [[ $name =~ 4gemvI.*Int8PlanesI.*ELi1EE ]] || continue
      most=$(most_instructions "$name")
      weights=$((4 * products))
      awk -v arch="$arch" -v name="$name" -v n="$instructions" -v weights="$weights" \
        -v most="$most" -v prefetches="$prefetches" -v loads="$loads" -v waits="$waits" 'BEGIN {
          each = weights > 0 ? n / weights : 99
          printf "%-8s %5.2f instructions per weight, %2d prefetches  %s\n", arch, each, prefetches, name
          if (each > most) printf "FAILED: %s of %s takes more than %s instructions per weight\n", name, arch, most
          sub(/sm_/, "", arch)
          if (arch + 0 >= 90 && (!waits || !prefetches || loads))
            printf "FAILED: %s prefetches %d times and loads %d times before it waits\n", name, prefetches, loads
        }'
    done
}

case ${1:-} in
  hip | cuda) kind=$1 ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
folder=${2:?"$(usage)"}
llvm=${3:-}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$kind" = hip ]; then
  objcopy=$(llvm_tool llvm-objcopy) || { echo "$objcopy"; exit 77; }
  readelf=$(llvm_tool llvm-readelf) || { echo "$readelf"; exit 77; }
  bundler=$(llvm_tool clang-offload-bundler) || { echo "$bundler"; exit 77; }
else
  cuobjdump=$(command -v cuobjdump || find /usr/local/cuda/bin "$root/.cache" -name cuobjdump \
    2>/dev/null | head -n 1)
  [ -n "$cuobjdump" ] || skip "cuobjdump not found (a part of the CUDA toolkit)"
  PATH=$(dirname "$cuobjdump"):$PATH  # nvdisasm, which it calls, comes with it
fi

spilling=0
kernels=0
while IFS= read -r object; do
  critical=no
  [[ $(basename "$object") =~ ^(linear|gemv|attention) ]] && critical=yes
  while read -r arch registers scratch spills name; do
    kernels=$((kernels + 1))
    printf '%-8s %4d registers %6d scratch %4d spilled  %s\n' \
      "$arch" "$registers" "$scratch" "$spills" "$name"
    if [ "$critical" = yes ] && [ "$spills" -ne 0 ]; then
      printf 'FAILED: %s of %s spills on %s\n' "$name" "$(basename "$object")" "$arch"
      spilling=$((spilling + 1))
    fi
  done < <("${kind}_kernels" "$object")
done < <(find "$folder" -name '*.cu.o' | sort)
[ "$kernels" -gt 0 ] || skip "no compiled kernels in $folder"
printf '%d kernels, %d of them spill and must not\n' "$kernels" "$spilling"
[ "$spilling" -eq 0 ] || exit 1
[ "$kind" = cuda ] || exit 0
command -v nvdisasm >/dev/null || skip "no spills; nvdisasm, which shows instructions, not found"
find "$folder" -name 'gemv_int8*.cu.o' | sort | while IFS= read -r object; do
  cuda_gemv "$object"
done >"$work/gemv"
cat "$work/gemv"
grep -q 'per weight' "$work/gemv" || { echo "FAILED: no gemv kernel of one row found"; exit 1; }
! grep -q '^FAILED' "$work/gemv"
