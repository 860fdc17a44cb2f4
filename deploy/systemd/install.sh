#!/usr/bin/env bash
# Puts Berth's unit, its user, its drop-ins and its settings where systemd looks for them; what is there already stays. As root,
# after the program is at /usr/local/bin/berth. DESTDIR puts everything under another root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
DESTDIR=${DESTDIR:-}
UNITS=$DESTDIR/etc/systemd/system
ETC=$DESTDIR/etc/berth
declare -A NEEDED=()

main() {
  install -D -m 644 berth@.service "$UNITS/berth@.service"
  install -D -m 644 berth.sysusers.conf "$DESTDIR/usr/lib/sysusers.d/berth.conf"
  [ -n "$DESTDIR" ] || systemd-sysusers
  install -D -m 755 berth-admin "$DESTDIR/usr/local/sbin/berth-admin"
  install -d -m 755 "$ETC"
  owned 750 root "$ETC/secrets"
  owned 700 berth "$ETC/keys"
  settings berth.env <berth.env.example
  local role
  for role in router user inventory booking payment worker; do
    echo "BERTH_ROLES=$role" | settings "$role.env"
  done
  echo "# Everything in one process." | settings all.env
  secrets
  [ -n "$DESTDIR" ] || systemctl daemon-reload
  echo "Now fill $ETC/berth.env and the files of $ETC/secrets: ${!NEEDED[*]}"
}

# Which process is given which secret. The router, which the public reaches, has no database and no provider.
secrets() {
  local role
  for role in user inventory booking payment worker; do secret "$role" database_url; done
  for role in router user inventory booking payment worker; do secret "$role" redis_url; done
  for role in payment worker all; do secret "$role" provider_server_key; done
  for role in worker all; do secret "$role" smtp_url; done
}

# A drop-in by which systemd hands a secret to a process: a file that nobody else can read.
secret() { # name of the process, name of the setting
  install -d -m 755 "$UNITS/berth@$1.service.d"
  cat >"$UNITS/berth@$1.service.d/$2.conf" <<EOF
[Service]
LoadCredential=$2:/etc/berth/secrets/$2
Environment=BERTH_${2^^}_FILE=%d/$2
EOF
  NEEDED[$2]=1
}

settings() { # file
  [ -e "$ETC/$1" ] || install -m 644 /dev/stdin "$ETC/$1"
}

owned() { # mode, owner, folder
  if [ -n "$DESTDIR" ]; then install -d -m "$1" "$3"; else install -d -m "$1" -o "$2" -g berth "$3"; fi
}

main
