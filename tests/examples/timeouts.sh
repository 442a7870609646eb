#!/usr/bin/env bash
# The example of limits meets each of them, and loses nothing.
set -euo pipefail
said=$(timeout 60 "$1/timeouts") || { echo "timeouts failed with exit code $?" >&2; exit 1; }
expected='one operation: the deadline has passed
the same again: the answer to ...
a conversation: the deadline has passed
a flow with a deadline: the deadline has passed
without it: the answer to ...
a flow that fell silent: the deadline has passed
the second one: the answer to the hare'
[ "$said" = "$expected" ] || { printf 'timeouts said:\n%s\n' "$said" >&2; exit 1; }
