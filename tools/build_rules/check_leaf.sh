#!/usr/bin/env bash
# check_leaf.sh ARCHIVE...
# Fails when an archive defines a weak symbol: the linker keeps one copy of those for the whole program, and it may
# keep the one that was compiled for a newer CPU than the one the program runs on.
set -euo pipefail
status=0
for archive in "$@"; do
  nm=nm
  [[ "$(uname -m)" == aarch64 || "$archive" != *arm64* ]] || nm=aarch64-linux-gnu-nm
  symbols=$("$nm" --demangle "$archive")
  weak=$(awk '$2 ~ /^[WVu]$/' <<<"$symbols")
  if [[ -n "$weak" ]]; then
    printf '%s: an instruction-set file must define no weak symbol (an inline function or a template that was\n' "$archive"
    printf 'not inlined: make it static, or move it into this file), got\n%s\n' "$weak"
    status=1
  fi
done
echo "$# leaf libraries looked at"
exit $status
