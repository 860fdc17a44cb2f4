#!/usr/bin/env bash
# The topology of docker-compose.yml as plain processes on loopback ports: PostgreSQL, Redis, four subgraphs x 2, a worker,
# router x 2 behind one balanced port. Prints the public URL; Ctrl-C stops all of it.
#
#   deploy/local-fleet.sh [BERTH]     BERTH is the program; target/release/berth or target/debug/berth when absent
#
# BERTH_TEST_POSTGRES_URL and BERTH_TEST_REDIS_URL name servers that run already; others are started as tests/services.sh does.
# FLEET_DIR keeps data, keys and logs; without it they go with the fleet. Other BERTH_ variables reach every process.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/services.sh
. tests/services.sh

SERVICES=(user inventory booking payment)
REPLICAS=2
NAMES=()
PIDS=()

main() {
  BERTH=${1:-$(built)}
  # Set before anything starts: clients are told apart by what the balancer saw.
  if command -v haproxy >/dev/null; then export BERTH_TRUSTED_PROXIES=${BERTH_TRUSTED_PROXIES:-1}; fi
  DIR=${FLEET_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/berth-fleet.XXXXXX")}
  mkdir -p "$DIR"
  trap 'stop; exit 0' INT TERM
  trap stop EXIT
  services_start postgres redis
  settings
  "$BERTH" keys init --data-dir "$DIR" >/dev/null
  "$BERTH" migrate --data-dir "$DIR" >/dev/null
  start_all
  balance
  echo "$PUBLIC_URL"
  echo "$DIR: ${#NAMES[@]} processes, $SERVICES_USED" >&2
  wait
}

built() {
  local program
  for program in "${CARGO_TARGET_DIR:-target}"/{release,debug}/berth; do
    [ -x "$program" ] && { echo "$program"; return; }
  done
  echo "local-fleet: no berth is built: cargo build --release" >&2
  return 1
}

settings() {
  local service replica port urls
  for service in "${SERVICES[@]}"; do
    urls=()
    for replica in $(seq "$REPLICAS"); do
      port=$(free_port)
      eval "PORT_${service}_$replica=$port"
      urls+=("http://127.0.0.1:$port")
    done
    export "BERTH_SUBGRAPH_${service^^}=$(IFS=,; echo "${urls[*]}")"
  done
  for replica in $(seq "$REPLICAS"); do eval "PORT_router_$replica=$(free_port)"; done
  PORT_worker_1=$(free_port)
  PUBLIC_PORT=${PUBLIC_PORT:-$(free_port)}
  PUBLIC_URL=http://127.0.0.1:$PUBLIC_PORT
  export BERTH_PUBLIC_URL=$PUBLIC_URL
  export BERTH_DATABASE_URL=$BERTH_TEST_POSTGRES_URL BERTH_REDIS_URL=$BERTH_TEST_REDIS_URL
  export BERTH_KEYS_DIR=$DIR/keys BERTH_MAIL_FILE=$DIR/mail.jsonl BERTH_CLOCK_FILE=$DIR/clock
  export BERTH_DATABASE_MAX_CONNECTIONS=${BERTH_DATABASE_MAX_CONNECTIONS:-5}
  unset BERTH_TEST_POSTGRES_URL BERTH_TEST_REDIS_URL # no settings of berth's
}

start_all() {
  local service replica
  for service in "${SERVICES[@]}"; do
    for replica in $(seq "$REPLICAS"); do start "$service" "$replica"; done
  done
  start worker 1
  for replica in $(seq "$REPLICAS"); do start router "$replica"; done
  local name
  for name in "${NAMES[@]}"; do ready "$name"; done
}

start() { # role replica
  local name=$1-$2 port=PORT_$1_$2
  "$BERTH" serve --role "$1" --listen "127.0.0.1:${!port}" --data-dir "$DIR/$name" >"$DIR/$name.out" 2>"$DIR/$name.log" &
  NAMES+=("$name") PIDS+=("$!")
  echo "$!" >"$DIR/$name.pid"
}

ready() { # name
  local _
  for _ in $(seq 600); do
    if "$BERTH" health --data-dir "$DIR/$1" >/dev/null 2>&1; then return 0; fi
    kill -0 "$(cat "$DIR/$1.pid")" 2>/dev/null || break
    sleep 0.1
  done
  echo "local-fleet: $1 did not become ready:" >&2
  tail -n 20 "$DIR/$1.log" >&2
  return 1
}

# haproxy with the configuration of the containers; without it the first router's port is the public one.
balance() {
  if ! command -v haproxy >/dev/null; then
    PUBLIC_URL=http://127.0.0.1:$PORT_router_1
    echo "local-fleet: no haproxy, so this is the first router alone" >&2
    return
  fi
  sed -E -e "s/router-1:4000/127.0.0.1:$PORT_router_1/" -e "s/router-2:4000/127.0.0.1:$PORT_router_2/" \
    -e "s/bind :4000/bind 127.0.0.1:$PUBLIC_PORT/" -e 's/maxconn 20000/maxconn 2000/' deploy/haproxy.cfg >"$DIR/haproxy.cfg"
  haproxy -f "$DIR/haproxy.cfg" >"$DIR/haproxy.log" 2>&1 &
  PIDS+=("$!")
  wait_for_port "$PUBLIC_PORT" || { tail -n 5 "$DIR/haproxy.log" >&2; return 1; }
  sleep 3 # two checks until the routers are taken for ready
}

stop() {
  trap - INT TERM EXIT
  set +e
  local pid
  for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; done
  for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && wait "$pid" 2>/dev/null; done
  services_stop
  [ -n "${FLEET_DIR:-}" ] || rm -rf "$DIR"
}

main "$@"
