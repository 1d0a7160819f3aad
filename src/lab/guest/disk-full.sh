#!/bin/sh
# Lets a host's /nix have one megabyte left, whatever it had before, or gives it back what it had. Runs on the host.
# What is written to a full /nix is forgotten when it is given back.
# usage: disk-full.sh set|clear
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
small=/run/nixdash-lab/small

case $1 in
set)
  mountpoint -q "$small" && exit 0
  mkdir -p "$small"
  mount -t tmpfs -o size=9m,mode=755 tmpfs "$small"
  mkdir "$small/upper" "$small/work"
  mount -t overlay overlay -o "lowerdir=/nix,upperdir=$small/upper,workdir=$small/work" /nix
  # The store's database is written to by whoever looks at it; it has to be in the small part before that is full.
  touch /nix/var/nix/db/db.sqlite
  free=$(df --output=avail -k "$small" | tail -n 1)
  # Whoever writes meanwhile takes some of it.
  head -c "$(((free - 1024) * 1024))" /dev/zero >"$small/ballast" || truncate -s -1M "$small/ballast"
  ;;
clear)
  mountpoint -q "$small" || exit 0
  umount --lazy /nix
  umount --lazy "$small"
  ;;
*)
  echo "disk-full.sh: neither set nor clear: '$1'" >&2
  exit 2
  ;;
esac
systemctl try-restart nix-daemon.service
