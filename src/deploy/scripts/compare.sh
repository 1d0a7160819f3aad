#!/bin/sh
# Asks what realising a derivation ($1) would take, as the login user; Nix answers on standard error.
nix-store --realise --dry-run "$1"
