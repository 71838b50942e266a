#!/usr/bin/env bash
# Installs what is missing, builds Strata and lets the model that ships in models/ tell a story.
set -u
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
  cat <<'TXT'
Usage: tools/demo.sh [--with-cuda] [--no-install] [PROMPT]

Installs what is missing from the distribution's packages, builds build/release/bin/strata, and
generates text from models/strata-tiny.gguf, starting with PROMPT ("Once upon a time").

  --with-cuda   also bring the CUDA toolkit (from PyPI wheels where no nvcc is found)
  --no-install  install nothing: use what is there
TXT
}

prompt="Once upon a time"
with_cuda=no
install=yes
for argument in "$@"; do
  case $argument in
    --with-cuda) with_cuda=yes ;;
    --no-install) install=no ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; fail "$argument: no such option" ;;
    *) prompt=$argument ;;
  esac
done

[ "$install" = no ] || install_packages "${STRATA_PACKAGES[@]}"
[ "$with_cuda" = no ] || setup_cuda
choose_cuda_architectures
build_preset release strata

cd "$STRATA_ROOT" || exit 1
model=models/strata-tiny.gguf
[ -f "$model" ] || fail "$model is not in this checkout" "git checkout -- models"
command=(build/release/bin/strata run -m "$model" -n 120 -s 1 --temp 0.7 -p "$prompt")
step "Running: ${command[*]::${#command[@]}-1} \"$prompt\""
printf '\n%s' "$prompt"  # the program prints what the model adds
status=0
"${command[@]}" 2>build/logs/demo.log || status=$?
printf '\n\n'
cat build/logs/demo.log
if [ "$status" -eq 0 ]; then
  step "Ask it for more: build/release/bin/strata --help"
fi
exit "$status"
