#!/usr/bin/env bash
# The claim of claim.sql by pgbench alone: what PostgreSQL on this machine can do.
#
#   tests/load/pgbench.sh POSTGRES_URL [SECONDS]
#
# Tries some numbers of clients for a third of the time each, then measures with the best. The last line is
# "raw RATE/s with N clients". Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
URL=$1
SECS=${2:-10}

main() {
  local clients rate best_clients=1 best_rate=0 trial=$((SECS / 3 > 0 ? SECS / 3 : 1))
  trap 'psql -qX "$URL" -c "DROP SCHEMA IF EXISTS berth_raw CASCADE" 2>/dev/null' EXIT
  for clients in 4 8 16 32 64; do
    rate=$(measured "$clients" "$trial")
    echo "  pgbench with $clients clients: $rate/s"
    if awk "BEGIN { exit !($rate > $best_rate) }"; then best_rate=$rate best_clients=$clients; fi
  done
  echo "raw $(measured "$best_clients" "$SECS")/s with $best_clients clients"
}

measured() { # clients seconds
  psql -qX "$URL" -f tables.sql 2>/dev/null
  pgbench --no-vacuum --protocol=prepared --file=claim.sql --client="$1" --jobs=2 --time="$2" "$URL" 2>/dev/null |
    awk '/^tps/ { printf "%.0f", $3 }'
}

main
