#!/bin/sh
# A job on the builder: realises a derivation and roots its output. $1 derivation, $2 root.
mkdir -p "${2%/*}"
exec nix-store --realise "$1" --add-root "$2" --log-format internal-json -v
