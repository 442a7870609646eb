#!/usr/bin/env bash
# coflow inside an Asio io_context: its clients get their answers, and the host's timer ticks meanwhile.
source "$(dirname "$0")/../interop/common.bash"
source "$(dirname "$0")/guest.bash"

check_guest asio_guest
