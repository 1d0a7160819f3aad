#!/bin/sh
# Signs a system and everything that it needs, as root on the host that built it. $1 the system, $2 a file
# with the secret key.
exec nix --extra-experimental-features nix-command store sign --recursive --key-file "$2" "$1"
