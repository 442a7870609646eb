# For `run`: server CPU time in windows of time, interleaved, and what of it can be believed.

declare -A options=([pingpong]='--connections 16' [stream]='--connections 4' [sink]='--connections 4'
  [churn]='--connections 16' [resume]='--connections 16')
declare -A load_title=([pingpong]=ping-pong [stream]=stream [sink]=sink [churn]=churn [resume]=resumed)
declare -A operation=([pingpong]='an echo' [stream]='a megabyte' [sink]='a megabyte' [churn]='a connection'
  [resume]='a connection')
declare -A operations=([pingpong]=echoes [stream]=megabytes [sink]=megabytes [churn]=connections [resume]=connections)
quiet=0.05  # the share of a window that the server or the generator may wait for its CPU

calm_down() {  # waits until the machine is nearly idle, for three seconds at most
  local i before after
  for ((i = 0; i < 15; ++i)); do
    read -r -a before </proc/stat
    sleep 0.2
    read -r -a after </proc/stat
    awk -v a="${before[*]:1:8}" -v b="${after[*]:1:8}" 'BEGIN {split(a, x); split(b, y)
      for (i = 1; i <= 8; ++i) all += y[i] - x[i]
      exit !(all == 0 || y[4] - x[4] > 0.85 * all)}' && return
  done
}

window() {  # load, server: sets found; a disturbed window is repeated, and the quietest one counts
  local load=$1 name=$2 mode=echo best='' least=9 waiting try
  [ "$load" != sink ] || mode=sink
  for ((try = 0; try < tries; ++try)); do
    [ $smoke = yes ] || calm_down
    start "$name" $mode "${pin_server[@]}" || break
    # shellcheck disable=SC2086 # the options are words
    generate "$load" ${options[$load]} --seconds "$seconds" --warmup $warmup
    stop
    waiting=$(printf '%s\n' "$(value generator_waiting "$found")" "$(value server_waiting "$found")" | sort -g | tail -n 1)
    if awk -v a="${waiting:-9}" -v b="$least" 'BEGIN {exit !(a < b)}'; then best=$found least=$waiting; fi
    if awk -v a="$least" -v b=$quiet 'BEGIN {exit !(a < b)}'; then break; fi
  done
  found=$best
}
run_rounds() {  # writes $work/windows: load, server, round, CPU microseconds per operation, shares of waiting, operations
                # per second
  local round order load name
  pin_server=()
  [ -n "$programs" ] || pin_server=(taskset -c "${cpus%,*}") pin=(taskset -c "${cpus#*,}")
  : >"$work/windows"
  for ((round = 1; round <= rounds; ++round)); do
    # Twice the one by hand: how far it is from itself says what the other ratios are worth.
    order=("${servers[@]}" "${reference}_again")
    if [ $((round % 2)) -eq 0 ]; then
      order=()
      for name in "${servers[@]}"; do order=("$name" "${order[@]}"); done
      order=("${reference}_again" "${order[@]}")
    fi
    for load in "${loads[@]}"; do
      for name in "${order[@]}"; do
        window "$load" "${name%_again}"
        echo "$load $name $round $(value cpu_us "$found") $(value generator_waiting "$found")" \
          "$(value server_waiting "$found") $(value per_second "$found")"
      done
    done >>"$work/windows"
    say "round $round of $rounds is done"
  done
  pin=()
}

median='function median(v, n,   i, j, t) {
  for (i = 2; i <= n; ++i) { t = v[i]; for (j = i - 1; j > 0 && v[j] > t; --j) v[j + 1] = v[j]; v[j + 1] = t }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2 }'
absolute() {  # load, server, column, format: median over the rounds
  awk -v load="$1" -v name="$2" -v column="$3" -v format="$4" "$median"'
    $1 == load && $2 == name && NF == 7 {v[++n] = $column}
    END {if (n) printf format, median(v, n)}' "$work/windows"
}
relative() {  # load, server: median, least and largest ratio to the reference in the same round
  awk -v load="$1" -v name="$2" -v reference="$reference" "$median"'
    $1 == load && NF == 7 {us[$2, $3] = $4; if ($3 > rounds) rounds = $3}
    END {for (i = 1; i <= rounds; ++i) if (us[name, i] > 0 && us[reference, i] > 0) v[++n] = us[name, i] / us[reference, i]
         if (n) {m = median(v, n); printf "%.2f %.2f %.2f", m, v[1], v[n]}}' "$work/windows"
}
print_medians() {  # titles of the loads, column, format: of each server
  local -n heads=$1
  local name load about=()
  for load in "${loads[@]}"; do about+=("${load_title[$load]}, ${heads[$load]}"); done
  heading server "${about[@]}"
  for name in "${servers[@]}"; do
    printf '| %s |' "${title[$name]}"
    for load in "${loads[@]}"; do cell "$(absolute "$load" "$name" "$2" "$3")"; done
    echo
  done
}
print_timed() {
  local name load text ratio about=()
  printf 'Server CPU time, medians of %s rounds of %s s, us:\n\n' "$rounds" "$seconds"
  print_medians operation 4 %.2f
  printf '\nRelative to %s in the same round, median (least to largest):\n\n' "${title[$reference]}"
  for load in "${loads[@]}"; do about+=("${load_title[$load]}"); done
  heading server "${about[@]}"
  for name in "${servers[@]:1}" "${reference}_again"; do
    printf '| %s |' "${title[$name]:-${title[$reference]} once more}"
    for load in "${loads[@]}"; do
      text=$(relative "$load" "$name")
      read -r -a ratio <<<"${text:-missing}"
      [[ $text =~ ^[0-9.]+\ [0-9.]+\ [0-9.]+$ ]] || bad=1
      printf ' %s (%s to %s) |' "${ratio[0]}" "${ratio[1]:-}" "${ratio[2]:-}"
    done
    echo
  done
  if [ ${#tls_client[@]} -gt 0 ]; then
    printf '\nOperations per second, by one thread on each side; the load generator has as much of the work as the server:\n\n'
    print_medians operations 7 %.0f
  fi
  awk -v quiet=$quiet "$median"' NF == 7 {g[++n] = $5; s[n] = $6; if ($5 >= quiet || $6 >= quiet) ++loud}
    END {if (n) {printf "\nNoise: the load generator waited for its CPU during %.1f %% of a window (median; at worst %.1f %%), ", 100 * median(g, n), 100 * g[n]
         printf "the server during %.1f %% (at worst %.1f %%); %d of %d windows were disturbed.\n", 100 * median(s, n), 100 * s[n], loud, n
         if (loud * 4 > n) print "That is too many: do not quote these times."}}' "$work/windows"
}
