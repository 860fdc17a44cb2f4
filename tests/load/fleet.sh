#!/usr/bin/env bash
# The load generator against a fleet on this machine, and pgbench beside it: PostgreSQL with its default durability, Redis, and a
# router, a user, INVENTORIES inventory, a booking, a payment and a worker process.
#
#   tests/load/fleet.sh [FOLDER of the programs] [arguments of berth-load]
#
#   INVENTORIES=2 SECS=10 tests/load/fleet.sh target/release
#
# The load has 128 connections unless told otherwise, the number that gives the best rate, as pgbench gets its best number of clients.
# Ends with `berth audit` over what the load left behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PROGRAMS=$(realpath "${1:-target/release}")
shift || true
[[ " $* " == *" --clients "* ]] || set -- --clients 128 "$@"
INVENTORIES=${INVENTORIES:-1}
SECS=${SECS:-10}
# shellcheck source=tests/services.sh
. tests/services.sh
DIR=$(mktemp -d "${TMPDIR:-/tmp}/berth-fleet.XXXXXX")
PIDS=()
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/berth

main() {
  trap stop EXIT
  services_start redis
  start_postgres
  start_fleet
  # The rate of pgbench before and after, so that a machine that changes in between is seen.
  tests/load/pgbench.sh "$POSTGRES_URL" "$SECS" | tee "$DIR/before.txt"
  "$PROGRAMS/berth-load" --url "http://127.0.0.1:$(port router 0)" --secs "$SECS" "$@" | tee "$DIR/load.txt"
  tests/load/pgbench.sh "$POSTGRES_URL" "$SECS" | tail -n 1 | tee "$DIR/after.txt"
  compare
  # What was sold and held adds up, with any number of processes.
  "$PROGRAMS/berth" audit --data-dir "$DIR/router-0" || { echo "the audit failed" >&2; return 1; }
}

# The server as it comes: fsync and synchronous_commit are on.
start_postgres() {
  local bin dir=$DIR/postgres as=() port
  bin=$(postgres_bin)
  port=$(free_port)
  chmod 755 "$DIR"
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv "--reuid=$(service_user)" "--regid=$(id -g "$(service_user)")" --clear-groups)
    chown "$(service_user)" "$dir"
  fi
  (cd "$dir" && "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres --auth=trust -E UTF8) >"$dir.log" 2>&1
  (cd "$dir" && exec "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 -c max_connections=200) >>"$dir.log" 2>&1 &
  PIDS+=("$!")
  wait_for_port "$port"
  POSTGRES_URL=postgres://postgres@127.0.0.1:$port/postgres
  echo "PostgreSQL $(psql -AtX "$POSTGRES_URL" -c "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')"), $(nproc) cores"
}

BASE_PORT=$((12000 + RANDOM % 8000))

port() { # role number
  local offset
  case $1 in router) offset=0 ;; user) offset=1 ;; booking) offset=2 ;; payment) offset=3 ;; worker) offset=4 ;; inventory) offset=5 ;; esac
  echo $((BASE_PORT + offset + $2))
}

start_fleet() {
  local number urls=()
  for number in $(seq 0 $((INVENTORIES - 1))); do urls+=("http://127.0.0.1:$(port inventory "$number")"); done
  local redis=$BERTH_TEST_REDIS_URL setting
  for setting in $(compgen -e | grep '^BERTH_'); do unset "$setting"; done # those of the tests are no settings of its
  export BERTH_DATABASE_URL=$POSTGRES_URL BERTH_REDIS_URL=$redis BERTH_KEYS_DIR=$DIR/keys BERTH_LOG=error
  export BERTH_MAIL_FILE=$DIR/mail.jsonl BERTH_CLOCK_FILE=$DIR/clock BERTH_PUBLIC_URL=http://127.0.0.1:$(port router 0)
  export BERTH_SUBGRAPH_USER=http://127.0.0.1:$(port user 0) BERTH_SUBGRAPH_BOOKING=http://127.0.0.1:$(port booking 0)
  export BERTH_SUBGRAPH_PAYMENT=http://127.0.0.1:$(port payment 0) BERTH_SUBGRAPH_INVENTORY
  BERTH_SUBGRAPH_INVENTORY=$(IFS=,; echo "${urls[*]}")
  local role
  for role in user booking payment worker router; do start_process "$role" 0; done
  for number in $(seq 0 $((INVENTORIES - 1))); do start_process inventory "$number"; done
  for role in user booking payment worker router; do wait_ready "$role" 0; done
  for number in $(seq 0 $((INVENTORIES - 1))); do wait_ready inventory "$number"; done
  echo "fleet: router, user, inventory x $INVENTORIES, booking, payment, worker"
}

start_process() { # role number
  mkdir -p "$DIR/$1-$2"
  "$PROGRAMS/berth" serve --role "$1" --data-dir "$DIR/$1-$2" --listen "127.0.0.1:$(port "$1" "$2")" >"$DIR/$1-$2.log" 2>&1 &
  PIDS+=("$!")
}

wait_ready() { # role number
  local _
  for _ in $(seq 1 600); do
    curl -sf -o /dev/null "http://127.0.0.1:$(port "$1" "$2")/readyz" && return 0
    sleep 0.1
  done
  echo "$1-$2 did not become ready:" >&2
  tail -n 20 "$DIR/$1-$2.log" >&2
  return 1
}

compare() {
  local holds raw
  holds=$(sed -n 's|^placeHold.* \([0-9]*\)/s .*|\1|p' "$DIR/load.txt" | head -n 1)
  raw=$(sed -n 's|^raw \([0-9]*\)/s.*|\1|p' "$DIR/before.txt" "$DIR/after.txt" | sort -n | tail -n 1)
  echo "placeHold through the fleet: $holds/s; pgbench (the better of both): $raw/s; ratio $((holds * 100 / raw)) %"
}

stop() {
  local pid
  for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && kill -INT "$pid" 2>/dev/null; done
  for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && wait "$pid" 2>/dev/null; done
  services_stop
  rm -rf "$DIR"
}

main "$@"
