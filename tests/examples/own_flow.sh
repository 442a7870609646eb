#!/usr/bin/env bash
# A flow of one's own passes the law suite, and the suite has looked at something.
set -euo pipefail
said=$(timeout 100 "$1/own_flow") || { printf 'own_flow failed with exit code %d:\n%s\n' $? "$said" >&2; exit 1; }
[[ $said =~ ^([0-9]+)\ checks,.*\ 0\ findings$ ]] || { printf 'own_flow said:\n%s\n' "$said" >&2; exit 1; }
[ "${BASH_REMATCH[1]}" -ge 100 ] || { printf 'only %d checks ran\n' "${BASH_REMATCH[1]}" >&2; exit 1; }
