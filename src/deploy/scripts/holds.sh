#!/bin/sh
# Asks whether one cache holds a system ($1) and everything that it needs and that is not here yet, as root
# on the target. $2 the address of the cache. Nix answers on standard error, within a minute and a half; nothing
# is fetched.
exec timeout 90 nix-store --realise --dry-run "$1" --option substituters "$2" --option extra-substituters '' \
	--option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0
