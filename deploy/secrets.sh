#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml names, unless they are there: deploy/secrets/*, which git does not keep.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/secrets"
umask 077

# The container's user reads them, so the folder is what keeps others out.
put() { # name value
  [ -s "$1" ] || { printf '%s' "$2" >"$1" && chmod 644 "$1"; }
}

chmod 700 .
put postgres_password "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
put database_url "postgres://berth:$(cat postgres_password)@postgres:5432/berth"
put redis_url "redis://redis:6379"
