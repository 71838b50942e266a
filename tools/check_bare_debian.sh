#!/usr/bin/env bash
# Runs README's two commands on a bare Debian in a folder: a fresh minimal system, made once with
# debootstrap from the mirror of this machine's own apt sources, and a clone of HEAD in it. Needs
# root. The folder lies outside of the checkout, is made anew with --fresh, and may be deleted.
set -u
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
  cat <<'TXT'
Usage: tools/check_bare_debian.sh [--suite trixie|bookworm] [--folder DIR] [--fresh] [ARGUMENT...]
       tools/check_bare_debian.sh --hip [--suite trixie|bookworm] [--folder DIR]

Makes a minimal Debian (trixie is Debian 13) in DIR, clones HEAD into it, and runs tools/demo.sh,
then tools/demo.sh again, then tools/test.sh there. The ARGUMENTs go to tools/test.sh (--quick).
Default for DIR: strata-<suite> in $XDG_CACHE_HOME or ~/.cache, else in /var/tmp.

With --hip, in a system that was made before (else it is skipped, exit status 77): builds the
program with its HIP backend by the packages there, and looks whether it starts, loads the backend,
opens RCCL and hipBLAS at run time and says that there is no AMD GPU; links both libraries with a
small program of its own.
TXT
}

suite=trixie
folder=
fresh=no
hip=no
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --suite) suite=${2:?--suite needs a name}; shift ;;
    --folder) folder=${2:?--folder needs a path}; shift ;;
    --fresh) fresh=yes ;;
    --hip) hip=yes ;;
    -h | --help) usage; exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
if [ -z "$folder" ]; then
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/strata-$suite
  [ -d "$folder" ] || [ ! -d "/var/tmp/strata-$suite" ] || folder=/var/tmp/strata-$suite
fi
if [ "$hip" = yes ] && { [ "$(id -u)" -ne 0 ] || [ ! -f "$folder/etc/debian_version" ]; }; then
  say "SKIP: no system of tools/check_bare_debian.sh in $folder, or not root"
  exit 77
fi
[ "$(id -u)" -eq 0 ] || fail "only root can make a system in a folder"
[ "$hip" = yes ] || command -v debootstrap >/dev/null || fail "debootstrap not found" "apt-get install debootstrap"

# The first mirror of this machine's own apt sources, in either of apt's two formats.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
    2>/dev/null | awk '$1 == "URIs:" { print $2; exit }
                       $1 == "deb" { for (i = 2; i <= NF; ++i) if ($i ~ /:\/\//) { print $i; exit } }'
}

make_system() {
  local source
  source=$(mirror)
  [ -n "$source" ] || fail "no mirror in this machine's apt sources"
  rm -rf "$folder.part"
  mkdir -p "$(dirname "$folder")"
  logged debootstrap debootstrap --variant=minbase "$suite" "$folder.part" "$source"
  mv "$folder.part" "$folder"
}

[ "$fresh" = no ] || rm -rf "$folder"
[ -f "$folder/etc/debian_version" ] || make_system
step "Debian $(cat "$folder/etc/debian_version") in $folder"

# How this machine reaches its mirrors: certificates, apt's transport settings, name service.
mkdir -p "$folder/etc/ssl/certs"
cp -f /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
cp -f /etc/resolv.conf "$folder/etc/resolv.conf"
grep -l '^Acquire::' /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -f -t "$folder/etc/apt/apt.conf.d"

# A clone, as a newcomer has it. build/ is kept from the last run unless the system is new.
place=$folder/root/strata/checkout
if [ -d "$place/.git" ]; then
  git -C "$place" fetch -q "$STRATA_ROOT" HEAD && git -C "$place" reset -q --hard FETCH_HEAD
else
  git clone -q --no-local "$STRATA_ROOT" "$place"
fi || fail "cannot clone $STRATA_ROOT into $place"
git -C "$place" config core.fileMode true

shared=${STRATA_SHARED:-$STRATA_ROOT/../shared}
environment=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
while IFS= read -r variable; do
  environment+=("$variable")
done < <(env | grep -iE '^(https?_proxy|no_proxy|PIP_CERT)=')

# Mounts live in a namespace of their own and vanish with it. $1 folder, $2 reference data, $3... the
# command in the system.
# shellcheck disable=SC2016
inside='
  mount --bind /proc "$1/proc" && mount -t tmpfs tmpfs "$1/dev/shm" || exit 1
  if [ -d "$2" ]; then
    mkdir -p "$1/root/strata/shared" && mount --bind -o ro "$2" "$1/root/strata/shared" || exit 1
  fi
  system=$1
  shift 2
  exec chroot "$system" "$@"'
in_system() {
  unshare --mount bash -c "$inside" - "$folder" "$shared" \
    /usr/bin/env -i "${environment[@]}" bash -c 'cd /root/strata/checkout && exec "$@"' - "$@"
}

# The HIP backend by this system's own compiler.
# shellcheck disable=SC2016
hip_stage='
  . tools/setup.sh
  mapfile -t packages < <(printf "%s\n" "${STRATA_PACKAGES[@]}"; hip_packages
    printf "%s\n" librccl-dev libhipblas-dev librocblas-dev)
  mapfile -t missing < <(missing_packages "${packages[@]}")
  [ ${#missing[@]} -eq 0 ] || install_packages "${packages[@]}"
  STRATA_CONFIGURE_ARGS=(-DSTRATA_HIP=ON)
  build_preset release strata strata_hip
  hipcc -std=c++20 -Wall -Wextra -I. -Ibackends/hip -D__HIP_PLATFORM_AMD__ \
    tests/bare/hip_libraries.cpp -o build/hip_libraries -lhipblas -lrocblas -lrccl -lamdhip64 &&
    build/hip_libraries && echo "== Linked with hipBLAS, rocBLAS and RCCL"
  build/release/bin/strata doctor'
if [ "$hip" = yes ]; then
  mkdir -p "$STRATA_LOGS"
  in_system bash -c "$hip_stage" | tee "$STRATA_LOGS/hip-$suite.out"
  found=$(grep '^hip ' "$STRATA_LOGS/hip-$suite.out")
  [[ $found == "hip      not usable: no AMD GPU"* ]] ||
    fail "strata doctor on $suite says \"$found\" of HIP, not that there is no AMD GPU"
  for library in rocBLAS hipBLAS RCCL; do
    grep -qE "^ +$library [0-9]+\.[0-9]" "$STRATA_LOGS/hip-$suite.out" ||
      fail "strata doctor on $suite does not find $library"
  done
  grep -q '^== Linked with' "$STRATA_LOGS/hip-$suite.out" ||
    fail "tests/bare/hip_libraries.cpp does not compile, link or run on $suite"
  exit 0
fi

in_system tools/demo.sh || fail "tools/demo.sh failed on $suite"
started=$SECONDS
in_system tools/demo.sh >/dev/null 2>&1 || fail "the second run of tools/demo.sh failed on $suite"
step "The second run of tools/demo.sh took $((SECONDS - started)) s"
in_system tools/test.sh "${arguments[@]}"
