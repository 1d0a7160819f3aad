#!/bin/sh
# Looks at a cache from the target, as root: $1 is its URL, $2 the hash of the system's path.
# Prints the target's effective settings, then the narinfo between two lines.
nix --extra-experimental-features nix-command config show 2>/dev/null ||
	nix --extra-experimental-features nix-command show-config 2>/dev/null
printf '\n--- narinfo\n'
# Named, so that the cache's log tells this question from those of hosts.
curl --silent --show-error --user-agent nixdash/verify --connect-timeout 5 --max-time 15 \
	--max-filesize 1000000 --write-out '\n--- status %{http_code}\n' "$1/$2.narinfo" 2>&1
