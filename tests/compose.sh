#!/usr/bin/env bash
# Checks docker-compose.yml by the program that will read it, and the balancer's configuration by the balancer, without a
# Docker engine. Fails when there is no program to ask and none can be brought.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/services.sh
. tests/services.sh

main() {
  deploy/secrets.sh
  find_checker
  "${CHECKER[@]}" config -q
  echo "docker-compose.yml: $("${CHECKER[@]}" config --services | wc -l) services, checked by ${CHECKER[*]}"
  balancer_config
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

# The names of the containers mean nothing here, so each is taken for this machine.
balancer_config() {
  command -v haproxy >/dev/null || apt_install haproxy || { echo "tests/compose.sh: no haproxy, and apt-get cannot bring it" >&2; exit 1; }
  local copy
  copy=$(mktemp)
  sed -E 's/(server router-[0-9]+) router-[0-9]+/\1 127.0.0.1/' deploy/haproxy.cfg >"$copy"
  haproxy -c -q -f "$copy" || { rm -f "$copy"; exit 1; }
  rm -f "$copy"
  echo "deploy/haproxy.cfg: checked by $(haproxy -v | head -n 1 | cut -d' ' -f1-3)"
}

main
