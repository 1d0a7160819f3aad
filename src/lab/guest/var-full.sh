#!/bin/sh
# Lets the folder of nixdash's logs on a host have no byte left, or gives it back what it had. Runs on the host.
# Where that folder is no file system of its own, it becomes one: jobs that run then go on writing to the old one, and what is
# written meanwhile is forgotten when it is given back.
# usage: var-full.sh set|clear
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
folder=/var/lib/nixdash
small=/run/nixdash-lab/small-var
ballast=$folder/ballast

case $1 in
set)
  mkdir -p "$folder"
  if ! mountpoint -q "$folder"; then
    mkdir -p "$small"
    mount -t tmpfs -o size=4m,mode=755 tmpfs "$small"
    cp -a "$folder/." "$small"
    mount --bind "$small" "$folder"
  fi
  cat /dev/zero >>"$ballast" 2>/dev/null || true
  ;;
clear)
  rm -f "$ballast"
  mountpoint -q "$small" || exit 0
  umount --lazy "$folder"
  umount --lazy "$small"
  ;;
*)
  echo "var-full.sh: neither set nor clear: '$1'" >&2
  exit 2
  ;;
esac
