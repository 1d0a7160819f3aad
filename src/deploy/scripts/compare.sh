#!/bin/sh
# Asks what realising a derivation ($1) would take, as the login user; Nix answers on standard error.
# Prints the bytes that are free below /nix.
df -P -B1 /nix/store | awk 'NR == 2 { print $4 }'
nix-store --realise --dry-run "$1"
