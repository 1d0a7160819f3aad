#!/bin/sh
# A unit of the fleet that carries the network: takes it down some seconds after an activation, or never.
# usage: network-later [SECONDS]
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
if [ -n "${1:-}" ]; then
  mkdir -p /run/nixos
  # An activation has ended when its lock is free.
  flock --shared /run/nixos/switch-to-configuration.lock true
  sleep "$1"
  echo "host0: lost carrier"
  ip link set host0 down
fi
exec sleep infinity
