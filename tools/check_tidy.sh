#!/usr/bin/env bash
# Runs clang-tidy 19 (.clang-tidy) over the sources named, or over all that the release build
# compiles. Minutes for the whole tree, so it is not part of tools/test.sh. Exit status 77 without
# clang-tidy 19.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

command -v clang-tidy-19 >/dev/null || { echo "SKIP: clang-tidy-19 not found"; exit 77; }
database=build/release/compile_commands.json
[ -f "$database" ] || { echo "$database is not there: cmake --preset release" >&2; exit 1; }
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(sed -n 's/^ *"file": "\(.*\)".*/\1/p' "$database" | sort -u)
fi
# g++'s own options mean nothing to clang.
exec xargs -0 -n 1 -P "$(nproc)" clang-tidy-19 --quiet -p build/release \
  --extra-arg=-Wno-unknown-warning-option < <(printf '%s\0' "${files[@]}")
