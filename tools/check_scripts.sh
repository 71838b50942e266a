#!/usr/bin/env bash
# Fails if shellcheck finds fault with one of our scripts; exit status 77 (skipped) without it.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
command -v shellcheck >/dev/null || { echo "SKIP: shellcheck not found"; exit 77; }
mapfile -d '' files < <(find tools tests .ci -name '*.sh' -print0 -o -path '.ci/run' -print0)
exec shellcheck -x "${files[@]}"
