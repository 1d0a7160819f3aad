#!/bin/sh
# Pins what a host boots to what it boots now, as `bootctl set-default` does, or unpins it. Runs on the host.
# usage: boot-pinned.sh set|clear
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
variable=/etc/nixdash-lab/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f

case $1 in
set)
  entry=$(sed -n 's/^default //p' /boot/loader/loader.conf)
  # A variable that outlives a restart (attributes 7), in UTF-16 with its end.
  printf '\007\000\000\000' >"$variable.new"
  printf '%s' "$entry" | sed 's/./&\n/g' | tr '\n' '\000' >>"$variable.new"
  printf '\000\000' >>"$variable.new"
  mv "$variable.new" "$variable"
  ;;
clear)
  rm -f "$variable"
  ;;
*)
  echo "boot-pinned.sh: neither set nor clear: '$1'" >&2
  exit 2
  ;;
esac
