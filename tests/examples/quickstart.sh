#!/usr/bin/env bash
# The first program of the README does what it says.
set -euo pipefail
said=$(timeout 60 "$1/quickstart") || { echo "quickstart failed with exit code $?" >&2; exit 1; }
expected='hello over TCP
hello over memory
hello over a layer'
# It has a fourth one where it is built with TLS.
if grep -qaF 'TLS over TCP' "$1/quickstart"; then expected+='
hello over TLS over TCP'; fi
[ "$said" = "$expected" ] || { printf 'quickstart said:\n%s\n' "$said" >&2; exit 1; }
