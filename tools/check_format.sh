#!/usr/bin/env bash
# Fails if a C++ file is not formatted as .clang-format says. Exit status 77 (skipped) without
# clang-format 19: other versions format differently. --fix formats the files instead.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

tool=$(command -v clang-format-19 || command -v clang-format) || tool=
if [ -z "$tool" ] || ! "$tool" --version | grep -q 'version 19\.'; then
  echo "SKIP: clang-format 19 not found (found: ${tool:-none})"
  exit 77
fi
mapfile -d '' files < <(find runtime backends net server apps bench tests \
  \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 2>/dev/null)
if [ "${1:-}" = --fix ]; then
  exec "$tool" -i "${files[@]}"
fi
output=$("$tool" --dry-run --Werror "${files[@]}" 2>&1) && exit 0
sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: error: .*/not formatted: \1/p' <<<"$output" | sort -u
echo "Try: tools/check_format.sh --fix"
exit 1
