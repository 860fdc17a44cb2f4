#!/bin/sh
# Runs berth as docker-compose.yml runs it, without an engine: the whole file system is read-only and has no /tmp, the user is nobody
# in particular, without capabilities, and gains none. What can be written is the data directory, and a folder for what processes of
# a development share (letters, the clock). The keys are there, and cannot be written. Needs root.
#
# SEALED_PROGRAM is berth, SEALED_KEYS the folder of keys, SEALED_SHARED the shared folder.
set -eu

if [ -z "${SEALED_INSIDE:-}" ]; then
  export SEALED_INSIDE=1
  exec unshare -m --propagation private "$0" "$@"
fi

# On a stage of its own, because parents of the real places may be closed to everybody else.
data=""
for argument; do
  shift
  [ "${before:-}" = --data-dir ] && data=$argument argument=/mnt/data
  before=$argument
  set -- "$@" "$argument"
done
chown -R 65532:65532 "$data" "$SEALED_KEYS" "$SEALED_SHARED"
mount -t tmpfs -o mode=755 stage /mnt
mkdir /mnt/data /mnt/shared /mnt/keys
: >/mnt/berth
mount --bind "$data" /mnt/data
mount --bind "$SEALED_SHARED" /mnt/shared
mount --bind "$SEALED_KEYS" /mnt/keys
mount --bind "$SEALED_PROGRAM" /mnt/berth

for hidden in /tmp /var/tmp /dev/shm; do
  [ ! -d "$hidden" ] || mount -t tmpfs -o ro,mode=755 none "$hidden"
done
cut -d' ' -f5 /proc/self/mountinfo | sort -u | while read -r place; do
  case $place in
    /mnt/data | /mnt/shared | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
    *) if mountpoint -q "$place"; then mount -o remount,bind,ro "$place"; fi ;;
  esac
done
if (: >/tmp/x) 2>/dev/null || (: >/var/x) 2>/dev/null || (: >/mnt/keys/x) 2>/dev/null; then
  echo "sealed.sh: something can still be written" >&2
  exit 1
fi

cd /
unset TMPDIR HOME
exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all /mnt/berth "$@"
