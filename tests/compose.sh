#!/usr/bin/env bash
# Checks what is shipped around the program, each file by the program that will read it: the compose files, the balancer's
# configuration, the rules of Prometheus, the units of systemd. No engine runs. Fails when there is no program to ask and none can
# be brought; only systemd, which a container has not, is left out, loudly.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/services.sh
. tests/services.sh

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/berth
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

main() {
  deploy/secrets.sh
  find_checker
  development
  production
  balancer_config
  prometheus_rules
  systemd_units
}

CHECKER=()
find_checker() {
  if docker compose version >/dev/null 2>&1; then
    CHECKER=(docker compose)
  elif command -v docker-compose >/dev/null || apt_install docker-compose; then
    CHECKER=(docker-compose)
  else
    echo "tests/compose.sh: no docker compose, no docker-compose, and apt-get cannot bring it" >&2
    exit 1
  fi
}

development() {
  "${CHECKER[@]}" config >"$SCRATCH/development.yml"
  grep -q 'BERTH_PROFILE: development' "$SCRATCH/development.yml"
  echo "docker-compose.yml: $("${CHECKER[@]}" config --services | wc -l) services, checked by ${CHECKER[*]}"
}

# With the values of the example, and with none: then each that is missing must be asked for.
production() {
  local files=(-f docker-compose.yml -f docker-compose.production.yml) name
  "${CHECKER[@]}" --env-file deploy/production.env.example "${files[@]}" config >"$SCRATCH/production.yml"
  grep -q 'BERTH_PROFILE: production' "$SCRATCH/production.yml"
  if grep -E 'BERTH_PROFILE: development|smtp://mail|mailpit' "$SCRATCH/production.yml" >&2; then exit 1; fi
  for name in BERTH_PUBLIC_URL BERTH_PROVIDER_URL BERTH_MAIL_FROM; do
    grep -v "^$name=" deploy/production.env.example >"$SCRATCH/without.env"
    if "${CHECKER[@]}" --env-file "$SCRATCH/without.env" "${files[@]}" config >"$SCRATCH/said" 2>&1; then
      echo "docker-compose.production.yml starts without $name" >&2
      exit 1
    fi
    grep -q "$name" "$SCRATCH/said"
  done
  echo "docker-compose.production.yml: checked by ${CHECKER[*]}, asks for what it needs"
}

# The names of the containers mean nothing here, so each is taken for this machine.
balancer_config() {
  command -v haproxy >/dev/null || apt_install haproxy || { echo "tests/compose.sh: no haproxy, and apt-get cannot bring it" >&2; exit 1; }
  sed -E 's/(server router-[0-9]+) router-[0-9]+/\1 127.0.0.1/' deploy/haproxy.cfg >"$SCRATCH/haproxy.cfg"
  haproxy -c -q -f "$SCRATCH/haproxy.cfg"
  echo "deploy/haproxy.cfg: checked by $(haproxy -v | head -n 1 | cut -d' ' -f1-3)"
}

prometheus_rules() {
  promtool_ready "$CACHE" || { echo "tests/compose.sh: no promtool, and apt-get cannot bring it" >&2; exit 1; }
  promtool check config deploy/prometheus/prometheus.yml >"$SCRATCH/said" || { cat "$SCRATCH/said" >&2; exit 1; }
  echo "deploy/prometheus: $(grep -c 'alert:' deploy/prometheus/alerts.yml) alerts, checked by promtool"
}

# Installed into a folder, as on a machine, and read there by systemd's own checker.
systemd_units() {
  if ! command -v systemd-analyze >/dev/null; then
    echo "deploy/systemd: NOT CHECKED, there is no systemd-analyze here"
    return
  fi
  local root=$SCRATCH/root role
  mkdir -p "$root/usr/local/bin" "$root/lib/systemd"
  cp -r /lib/systemd/system "$root/lib/systemd/"
  install -m 755 /bin/true "$root/usr/local/bin/berth"
  DESTDIR=$root deploy/systemd/install.sh >/dev/null
  for role in router user inventory booking payment worker all; do
    systemd-analyze --root="$root" verify "berth@$role.service" >"$SCRATCH/said" 2>&1 || { cat "$SCRATCH/said" >&2; exit 1; }
    if grep -E 'berth@' "$SCRATCH/said" >&2; then exit 1; fi
  done
  # 0 is closed, 10 is open: what a service may do that it does not need.
  systemd-analyze --root="$root" security --offline=true --threshold=20 berth@router.service >"$SCRATCH/said" 2>&1 \
    || { cat "$SCRATCH/said" >&2; exit 1; }
  echo "deploy/systemd: $(tail -n 1 "$SCRATCH/said" | sed 's/^[^A-Za-z]*//')"
}

main
