# shellcheck shell=bash
# What the suites need besides Rust: PostgreSQL, Redis, Node. Sourced by tests/run.
#
# Each service is taken from the first of these that works:
#   1. a running server, named by BERTH_TEST_POSTGRES_URL or BERTH_TEST_REDIS_URL
#   2. docker compose
#   3. local programs, started on a free port with their files in a temporary directory
#   4. apt-get install (as root), then as 3
# services_start sets SERVICES_USED, one line that says which it was, and exports the two URLs; services_stop undoes all of it.

SERVICES_DIR=""
SERVICES_USED=""
SERVICES_PIDS=()
SERVICES_COMPOSE=""

services_start() { # name...
  SERVICES_DIR=$(mktemp -d "${TMPDIR:-/tmp}/berth-services.XXXXXX")
  chmod 755 "$SERVICES_DIR"
  local name
  for name in "$@"; do
    case $name in
      postgres) service_start postgres BERTH_TEST_POSTGRES_URL ;;
      redis) service_start redis BERTH_TEST_REDIS_URL ;;
    esac
  done
  SERVICES_USED=${SERVICES_USED#, }
}

services_stop() {
  local pid
  for pid in "${SERVICES_PIDS[@]:-}"; do
    [ -n "$pid" ] && kill -INT "$pid" 2>/dev/null
  done
  for pid in "${SERVICES_PIDS[@]:-}"; do
    [ -n "$pid" ] && wait "$pid" 2>/dev/null
  done
  if [ -n "$SERVICES_COMPOSE" ]; then
    docker compose -f "$SERVICES_COMPOSE" down --volumes >/dev/null 2>&1
  fi
  [ -n "$SERVICES_DIR" ] && rm -rf "$SERVICES_DIR"
  SERVICES_DIR="" SERVICES_PIDS=() SERVICES_COMPOSE=""
}

service_start() { # name url-variable
  local name=$1 variable=$2
  if [ -n "${!variable:-}" ]; then
    service_used "$name by URL"
  elif compose_works && "${name}_by_compose"; then
    service_used "$name by docker compose"
  elif "${name}_local"; then
    service_used "$name from local programs"
  elif apt_install "$(apt_package "$name")" && "${name}_local"; then
    service_used "$name from apt-get"
  else
    echo "tests/run: no $name: set $variable, or install it, or run as root so that apt-get can" >&2
    return 1
  fi
}

service_used() {
  SERVICES_USED="$SERVICES_USED, $1"
}

# ---- PostgreSQL

postgres_by_compose() {
  compose_up postgres 5432 || return 1
  export BERTH_TEST_POSTGRES_URL="postgres://postgres:berth-tests@127.0.0.1:$COMPOSE_PORT/postgres"
}

postgres_local() {
  local bin port dir=$SERVICES_DIR/postgres
  bin=$(postgres_bin) || return 1
  port=$(free_port)
  local as=()
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    as=(setpriv "--reuid=$(service_user)" "--regid=$(id -g "$(service_user)")" --clear-groups)
    chown "$(service_user)" "$dir"
  fi
  (cd "$dir" && exec "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres --auth=trust -E UTF8 --no-sync) \
    >"$dir.log" 2>&1 || return 1
  # The cluster dies with the tests, so durability is only a cost here.
  (cd "$dir" && exec "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400) >>"$dir.log" 2>&1 &
  SERVICES_PIDS+=("$!")
  wait_for_port "$port" || { tail -n 5 "$dir.log" >&2; return 1; }
  export BERTH_TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
}

# The folder of initdb and postgres: on the PATH, or where Debian keeps them.
postgres_bin() {
  local candidate
  candidate=$(command -v initdb) && candidate=$(dirname "$(readlink -f "$candidate")")
  for candidate in "$candidate" /usr/lib/postgresql/*/bin; do
    if [ -n "$candidate" ] && [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

# ---- Redis

redis_by_compose() {
  compose_up redis 6379 || return 1
  export BERTH_TEST_REDIS_URL="redis://127.0.0.1:$COMPOSE_PORT"
}

redis_local() {
  local port program
  program=$(command -v redis-server || command -v valkey-server) || return 1
  port=$(free_port)
  "$program" --port "$port" --bind 127.0.0.1 --dir "$SERVICES_DIR" --save '' --appendonly no >"$SERVICES_DIR/redis.log" 2>&1 &
  SERVICES_PIDS+=("$!")
  wait_for_port "$port" || return 1
  export BERTH_TEST_REDIS_URL="redis://127.0.0.1:$port"
}

# ---- Node: 20 or newer, already there, by apt-get, or by npm's own package of it

node_ready() { # cache folder
  local cache=$1/node
  if ! node_is_recent && [ -x "$cache/node_modules/.bin/node" ]; then
    export PATH="$cache/node_modules/.bin:$PATH"
  fi
  node_is_recent && command -v npm >/dev/null && return 0
  if ! command -v npm >/dev/null; then
    apt_install nodejs npm || { echo "tests/run: no Node 20 and no npm, and apt-get cannot bring them" >&2; return 1; }
  fi
  if ! node_is_recent; then
    mkdir -p "$cache" && npm install --silent --no-audit --no-fund --prefix "$cache" node@22 >/dev/null || return 1
    export PATH="$cache/node_modules/.bin:$PATH"
  fi
  node_is_recent
}

node_is_recent() {
  local major
  major=$(node --version 2>/dev/null) || return 1
  major=${major#v}
  [ "${major%%.*}" -ge 20 ]
}

# A browser, for the pages; the tests that need one say so when there is none.
browser_ready() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || apt_install chromium
}

# `npm ci`, unless the packages of exactly this lock file are there already.
npm_packages() { # folder
  local stamp=$1/node_modules/.berth-lock sum
  sum=$(sha256sum <"$1/package-lock.json")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  npm ci --prefix "$1" --silent --no-audit --no-fund || return 1
  printf '%s' "$sum" >"$stamp"
}

# ---- promtool: what Prometheus itself says about the alerts. Of Debian's package the one program is taken.

promtool_ready() { # cache folder
  local cache=$1/prometheus
  command -v promtool >/dev/null && return 0
  if [ ! -x "$cache/promtool" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    mkdir -p "$cache/unpacked"
    [ "$(id -u)" != 0 ] || apt-get update -q >/dev/null 2>&1
    (cd "$cache" && apt-get download -q prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb unpacked \
      && mv unpacked/usr/bin/promtool . && rm -rf unpacked prometheus_*.deb) || return 1
  fi
  export PATH="$cache:$PATH"
}

# ---- the ways to bring a service

compose_works() {
  command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

compose_up() { # service port; sets COMPOSE_PORT
  if [ -z "$SERVICES_COMPOSE" ]; then
    SERVICES_COMPOSE=$SERVICES_DIR/compose.yml
    cat >"$SERVICES_COMPOSE" <<'YAML'
name: berth-tests
services:
  postgres:
    image: postgres:17-alpine
    command: ["-c", "fsync=off", "-c", "max_connections=400"]
    environment: { POSTGRES_PASSWORD: berth-tests }
    ports: ["127.0.0.1::5432"]
    healthcheck: { test: ["CMD", "pg_isready", "-U", "postgres", "-h", "127.0.0.1"], interval: 1s, retries: 60 }
  redis:
    image: redis:8-alpine
    ports: ["127.0.0.1::6379"]
    healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 1s, retries: 60 }
YAML
  fi
  docker compose -f "$SERVICES_COMPOSE" up -d --wait "$1" >"$SERVICES_DIR/compose.log" 2>&1 || return 1
  COMPOSE_PORT=$(docker compose -f "$SERVICES_COMPOSE" port "$1" "$2") || return 1
  COMPOSE_PORT=${COMPOSE_PORT##*:}
}

apt_package() { # service
  case $1 in
    postgres) echo postgresql ;;
    redis) echo redis-server ;;
  esac
}

apt_install() { # package...
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  local log=${SERVICES_DIR:-${TMPDIR:-/tmp}}/apt.log
  # The packages' own daemons must not start: the tests start theirs on free ports.
  {
    apt-get update -q && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends "$@"
  } >"$log" 2>&1 || { tail -n 3 "$log" >&2; return 1; }
}

# A program that a suite starts by itself.
program_ready() { # program package
  command -v "$1" >/dev/null || apt_install "$2" || { echo "tests/run: no $1, and apt-get cannot bring it" >&2; return 1; }
}

# ---- small things

service_user() {
  if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

wait_for_port() { # port
  local _
  for _ in $(seq 1 150); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.1
  done
  return 1
}
