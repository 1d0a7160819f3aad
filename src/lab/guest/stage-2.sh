#!/bin/sh
# What stands between a boot loader and systemd: starts the system that the boot default names, activates it, becomes systemd.
# usage: stage-2 [SYSTEM]
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
system=${1:-}
if [ -z "$system" ]; then
  entry=$(sed -n 's/^default //p' /boot/loader/loader.conf)
  system=$(sed -n 's/^options init=\(.*\)\/init.*/\1/p' "/boot/loader/entries/$entry")
fi
if [ ! -x "$system/activate" ]; then
  echo "stage-2: the boot default names no system that is here: '$system'" >&2
  exit 1
fi
echo "<<< NixOS Stage 2 >>> $system"
ln -sfn "$system" /run/booted-system
"$system/activate" "$system"
exec /usr/lib/systemd/systemd
