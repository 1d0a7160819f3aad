#!/bin/sh
# Looks at a cache from the target, as root: $1 is its URL, $2 the hash of the system's path, $3 settings, to
# print the target's effective settings too. Prints these, then the narinfo between two lines; below it the
# status, how curl ended and where the server redirects to.

# Prints what the cache answers. Named, so that the cache's log tells this question from those of hosts. HTTP
# only, no redirect is followed, and no more is read than a narinfo has: before 8.4.0 curl does not hold an
# answer of unknown length to --max-filesize.
ask() {
	{
		curl --disable --silent --show-error --globoff --user-agent nixdash/verify \
			--proto =http,https --proto-redir =http,https --connect-timeout 5 --max-time 15 \
			--max-filesize 1048576 --write-out '\n--- status %{http_code} %header{location}\n' \
			"$1/$2.narinfo" 2>&1
		printf '\n--- curl %s\n' "$?" >&2
	} | head -c 1200000
}

# The cache is asked while Nix begins.
ask "$1" "$2" | {
	if [ "$3" = settings ]; then
		nix --extra-experimental-features nix-command config show 2>/dev/null ||
			nix --extra-experimental-features nix-command show-config 2>/dev/null
	fi
	printf '\n--- narinfo\n'
	cat
}
