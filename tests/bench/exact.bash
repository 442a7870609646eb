# For `run`: what is counted, and not timed.

count_once() {  # tool, server, load: sets counted to what the tool counted, or to nothing
  local tool=$1 name=$2 file=$work/counted i
  shift 2
  counted=
  rm -f "$file"
  case $tool in  # each of these becomes the server: server_pid is the server's own
    system_calls) start "$name" echo strace -D -f -c -U calls,name -o "$file" || return ;;
    instructions) start "$name" echo valgrind --tool=callgrind --callgrind-out-file="$file" || return ;;
    allocations)
      start "$name" echo env COUNT_ALLOCATIONS_FILE="$file" LD_PRELOAD="$bin/count_allocations.so" || return ;;
  esac
  generate "$@" || { stop; return; }
  stop
  case $tool in
    system_calls)
      for ((i = 0; i < 250; ++i)); do  # strace outlives the server by a little
        counted=$(awk '$2 == "total" {print $1}' "$file" 2>/dev/null)
        [ -z "$counted" ] || break
        sleep 0.02
      done ;;
    instructions) counted=$(awk '/^(summary|totals):/ {print $2; exit}' "$file" 2>/dev/null) ;;
    allocations) counted=$(od -A n -t u8 -N 8 "$file" 2>/dev/null | tr -d ' ') ;;
  esac
}
cost_of_one() {  # tool, format, server, load: sets cost
  local tool=$1 format=$2 name=$3 low=$few high=$many first
  shift 3
  case ${tls_client[*]}$1 in
    --tlschurn | --tlsresume) low=$few_handshakes high=$many_handshakes ;;
    *stream) low=$few_megabytes high=$many_megabytes ;;
  esac
  cost=missing
  count_once "$tool" "$name" "$@" --messages "$low"
  first=$counted
  count_once "$tool" "$name" "$@" --messages "$high"
  if [ -z "$first" ] || [ -z "$counted" ]; then return; fi
  cost=$(awk -v a="$first" -v b="$counted" -v n=$((high - low)) -v f="$format" \
    'BEGIN {x = (b - a) / n; if (x * x < 0.005 ^ 2) x = 0; printf f, x}')
}
idle_bytes() {  # server: sets cost
  cost=missing
  start "$1" echo || return
  generate idle --connections $idle && cost=$(value bytes "$found")
  stop
}
stripped_kib() {  # server: sets cost
  strip -o "$work/stripped" "$bin/$1" && cost=$(awk -v bytes="$(stat -c %s "$work/stripped")" 'BEGIN {printf "%.0f", bytes / 1024}')
}

print_exact() {
  local name tool load about=()
  [ ${#tls_client[@]} -gt 0 ] || about=('allocations per connection')
  heading server 'system calls per echo' 'user instructions per echo' 'allocations per echo' "${about[@]}" \
    'bytes per idle connection' 'stripped, KiB' 'compile, CPU s'
  for name in "${servers[@]}"; do
    printf '| %s |' "${title[$name]}"
    cost_of_one system_calls %.2f "$name" pingpong; cell "$cost"
    cost_of_one instructions %.0f "$name" pingpong; cell "$cost"
    cost_of_one allocations %.2f "$name" pingpong; cell "$cost"
    if [ ${#about[@]} -gt 0 ]; then cost_of_one allocations %.2f "$name" churn; cell "$cost"; fi
    idle_bytes "$name"; cell "$cost"
    cost=missing; stripped_kib "$name"; cell "$cost"
    cell "$(awk '{printf "%.1f", $1}' "$bin/$name.cpu_seconds")"
    echo
  done
  [ ${#tls_client[@]} -gt 0 ] || return 0
  printf '\nA megabyte, there and back over 4 connections:\n\n'
  heading server 'system calls' 'user instructions' 'allocations'
  for name in "${servers[@]}"; do
    printf '| %s |' "${title[$name]}"
    for tool in system_calls:%.0f instructions:%.0f allocations:%.0f; do
      cost_of_one "${tool%:*}" "${tool#*:}" "$name" stream --connections 4; cell "$cost"
    done
    echo
  done
  printf '\nA connection: a handshake, which is full or takes up a session, one echo, and goodbye:\n\n'
  heading server 'full: system calls' 'user instructions' 'allocations' 'resumed: system calls' 'user instructions' 'allocations'
  for name in "${servers[@]}"; do
    printf '| %s |' "${title[$name]}"
    for load in churn resume; do
      for tool in system_calls:%.1f instructions:%.0f allocations:%.0f; do
        cost_of_one "${tool%:*}" "${tool#*:}" "$name" "$load"; cell "$cost"
      done
    done
    echo
  done
}
