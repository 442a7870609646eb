#!/usr/bin/env bash
# A layer of one's own counts what passes, and the close reaches the flow below.
set -euo pipefail
said=$(timeout 60 "$1/own_layer") || { echo "own_layer failed with exit code $?" >&2; exit 1; }
expected='sent 23, received 12, the other end saw eof'
[ "$said" = "$expected" ] || { printf 'own_layer said:\n%s\n' "$said" >&2; exit 1; }
