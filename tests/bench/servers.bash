# For `run`: the servers, how they are built and started, and what loads them.

declare -A source=(
  [raw_epoll]=$here/raw_epoll.cpp [echo_server]=$root/examples/echo_server.cpp [asio_echo]=$here/asio_echo.cpp
  [raw_epoll_tls]=$here/raw_epoll_tls.cpp [echo_server_tls]=$root/examples/echo_server.cpp
  [asio_echo_tls]=$here/asio_echo_tls.cpp)
declare -A title=(
  [raw_epoll]='raw epoll' [echo_server]=coflow [asio_echo]='Asio coroutines'
  [raw_epoll_tls]='raw epoll and OpenSSL' [echo_server_tls]='coflow, TLS' [asio_echo_tls]='Asio coroutines, ssl::stream')

choose_servers() {  # over TLS, yes or no: sets servers, the first of which is what the others are compared with, and the
                    # generator and the loads for them
  if [ "$1" = yes ]; then
    servers=(raw_epoll_tls echo_server_tls asio_echo_tls)
    loads=(pingpong stream sink churn resume)
    generator=load_generator_tls
    tls_server=(--tls --cert "$work/certificate.pem" --key "$work/key.pem") tls_client=(--tls)
    [ -s "$work/key.pem" ] || make_certificate || die 'openssl makes no certificate'
  else
    servers=(raw_epoll echo_server asio_echo)
    loads=(pingpong stream sink churn)
    generator=load_generator
    tls_server=() tls_client=()
  fi
  reference=${servers[0]}
  if [ -n "$programs" ]; then
    local name there=()
    for name in "${servers[@]}"; do [ ! -x "$(program "$name")" ] || there+=("$name"); done
    servers=("${there[@]}")
  elif ! has_asio; then
    say 'going on without Asio (libasio-dev)'
    unset 'servers[2]'
  fi
}
can_do_tls() {
  if [ -n "$programs" ]; then [ -x "$(program raw_epoll_tls)" ] && command -v openssl >/dev/null; else has_openssl; fi
}
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/key.pem" \
    -out "$work/certificate.pem" -days 1 -subj /CN=localhost 2>"$work/openssl.errors" ||
    { cat "$work/openssl.errors" >&2; return 1; }
}

# ---- building ----

program() {  # its file
  local places place name=$1
  [ -n "$programs" ] || { echo "$bin/$name"; return; }
  IFS=: read -r -a places <<<"$programs"
  case $name in echo_server_tls | load_generator_tls) name=${name%_tls} ;; esac  # one program does both
  for place in "${places[@]}"; do [ ! -x "$place/$name" ] || { echo "$place/$name"; return; }; done
  echo "$name"
}
build() {  # what, its source, more options: leaves $bin/what, and the CPU seconds that took in $bin/what.cpu_seconds
  local out=$bin/$1 from=$2
  shift 2
  local TIMEFORMAT='%U %S'
  {
    time timeout 300 "$cxx" -std=c++20 -O2 -DNDEBUG -pthread -I "$root/include" "$from" -o "$out.$$" "$@" 2>"$out.log"
  } 2>"$out.time"
  if [ ! -x "$out.$$" ]; then cat "$out.log" >&2; return 1; fi
  mv "$out.$$" "$out"
  awk '{print $1 + $2}' "$out.time" >"$out.cpu_seconds"
}
build_server() {
  local options=()
  [[ $1 != *_tls ]] || options=(-DCOFLOW_EXAMPLE_TLS -lssl -lcrypto)
  build "$1" "${source[$1]}" "${options[@]}"
}
build_generator() {
  local options=()
  [[ $generator != *_tls ]] || options=(-DCOFLOW_BENCH_TLS -lssl -lcrypto)
  build "$generator" "$here/load_generator.cpp" "${options[@]}"
}
is_fresh() {  # newer than all that it could be made from
  [ -x "$1" ] && [ -z "$(find "$root/include" "$here" "$root/examples/echo_server.cpp" -name '*.[ch]pp' -newer "$1" -print -quit)" ]
}
build_all() {
  local jobs=() job name i best
  mkdir -p "$bin"
  is_fresh "$bin/$generator" || { build_generator & jobs+=($!); }
  is_fresh "$bin/count_allocations.so" ||
    { build count_allocations.so "$here/count_allocations.cpp" -shared -fPIC & jobs+=($!); }
  if [ $smoke = yes ] || [ $exact = no ]; then
    for name in "${servers[@]}"; do is_fresh "$bin/$name" || { build_server "$name" & jobs+=($!); }; done
  fi
  for job in "${jobs[@]}"; do wait "$job" || return 1; done
  [ $smoke = no ] && [ $exact = yes ] || return 0
  for name in "${servers[@]}"; do  # one at a time, and the least of several: whatever disturbs a compiler costs it time
    best=
    for ((i = 0; i < builds; ++i)); do
      build_server "$name" || return 1
      best=$(sort -g <(echo "$best") "$bin/$name.cpu_seconds" | awk 'NF {print; exit}')
    done
    echo "$best" >"$bin/$name.cpu_seconds"
  done
}

# ---- a server, and what loads it ----

start() {  # server, echo or sink, a command to run it under: sets server_pid and port
  local name=$1 mode=$2 line i
  shift 2
  rm -f "$work/server"
  "$@" "$(program "$name")" --port 0 --mode "$mode" "${tls_server[@]}" >"$work/server" 2>"$work/server.errors" &
  server_pid=$!
  for ((i = 0; i < 1000; ++i)); do
    line=
    [ ! -s "$work/server" ] || read -r line <"$work/server"
    if [[ $line =~ ^listening\ on\ .*:([0-9]+)$ ]]; then port=${BASH_REMATCH[1]}; return 0; fi
    kill -0 $server_pid 2>/dev/null || break
    sleep 0.02
  done
  say "${title[$name]} does not start: $*"
  cat "$work/server.errors" >&2
  stop
  return 1
}
stop() {  # the server that runs, if one does: by request, and after ten seconds by force
  local i
  [ -n "$server_pid" ] || return 0
  kill "$server_pid" 2>/dev/null
  for ((i = 0; i < 500; ++i)); do
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.02
  done
  kill -9 "$server_pid" 2>/dev/null
  wait "$server_pid" 2>/dev/null
  server_pid=
}
generate() {  # mode, options: sets found to what the load generator found, or to nothing
  found=$(timeout 120 "${pin[@]}" "$(program $generator)" "$@" "${tls_client[@]}" --port "$port" --pid "$server_pid" \
    2>"$work/generator.errors")
  [ -n "$found" ] || { cat "$work/generator.errors" >&2; return 1; }
}
value() {  # name, line of name=value pairs
  [[ " $2 " =~ \ $1=([^ ]+)\  ]] && echo "${BASH_REMATCH[1]}"
}
pin=()

# ---- a figure in a table ----

cell() {  # a figure: prints it, and notices when it is none
  [[ $1 =~ ^-?[0-9]+(\.[0-9]+)?$ ]] || bad=1
  printf ' %s |' "$1"
}
heading() {  # the heads of the columns
  printf '|'; printf ' %s |' "$@"
  printf '\n|'; printf -- '---|%.0s' "$@"
  printf '\n'
}
