#!/usr/bin/env bash
# coflow inside a libuv loop: its clients get their answers, and the host's timer ticks meanwhile.
source "$(dirname "$0")/../interop/common.bash"
source "$(dirname "$0")/guest.bash"

check_guest libuv_guest
