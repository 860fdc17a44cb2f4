#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml names, unless they are there: deploy/secrets/*, which git does not keep.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/secrets"
umask 077

# The container's user reads them, so the folder is what keeps others out.
put() { # name; the value comes on standard input
  [ -s "$1" ] || { cat >"$1" && chmod 644 "$1"; }
}

chmod 700 .
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' | put postgres_password
printf 'postgres://berth:%s@postgres:5432/berth' "$(cat postgres_password)" | put database_url
printf 'redis://redis:6379' | put redis_url
