#!/bin/sh
# Lets a host's /run have no byte left, or gives it back what it had. Runs on the host.
# usage: run-full.sh set|clear
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
ballast=/run/nixdash-lab/ballast

case $1 in
set)
  mkdir -p /run/nixdash-lab
  used=$(df --output=used -k /run | tail -n 1)
  mount -o "remount,size=$((used + 64))k" /run
  # Whoever frees a page meanwhile shall not have it back.
  cat /dev/zero >>"$ballast" 2>/dev/null || true
  ;;
clear)
  [ -e "$ballast" ] || exit 0
  mount -o remount,size=20% /run
  rm -f "$ballast"
  ;;
*)
  echo "run-full.sh: neither set nor clear: '$1'" >&2
  exit 2
  ;;
esac
