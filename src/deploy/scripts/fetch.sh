#!/bin/sh
# A job on the target: gets a system from the target's own substituters, never by building, and
# roots it. $1 system, $2 root; $3, where given alone, the one substituter to ask; $3 and $4 a
# substituter and its key to add.
# What a cache said was missing a moment ago is asked again; a retry doubts what it said was there.
# A cache that takes a connection and then says nothing is given up after 15 seconds, twice in each of
# the two tries: with Nix's own limits (300 seconds, five times) another cache would come after an hour.
# `without-repeats.sh` is put before it when nixdash is compiled.
mkdir -p "${2%/*}"

fetch() {
	without_repeats nix-store --realise "$toplevel" --add-root "$root" --log-format internal-json -v \
		--option narinfo-cache-negative-ttl 0 --option max-jobs 0 --option builders '' \
		--option connect-timeout 5 --option stalled-download-timeout 15 \
		--option download-attempts 2 "$@"
}

toplevel=$1
root=$2
shift 2
if [ "$#" = 1 ]; then
	set -- --option substituters "$1" --option extra-substituters ''
elif [ "$#" = 2 ]; then
	set -- --option extra-substituters "$1" --option extra-trusted-public-keys "$2"
fi
fetch "$@" && exit 0
echo "the first try failed; asking the caches again"
fetch "$@" --option narinfo-cache-positive-ttl 0
