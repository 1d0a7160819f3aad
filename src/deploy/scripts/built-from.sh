#!/bin/sh
# Says what a system was built from, on a host that built or ran it, as the login user: prints
# `REVISION<TAB>FLAKE<TAB>WHO<TAB>SECONDS`, or nothing where that was not remembered. $1 the system.
folder=/nix/var/nixdash

main() {
	note=$folder/built-from/${1##*/}
	if [ -r "$note" ]; then
		head -n 1 "$note"
		return
	fi
	# What this host was to keep: its newest systems, the newest last.
	[ -r "$folder/deployed" ] || return 0
	found=''
	while IFS='	' read -r system rest; do
		[ "$system" != "$1" ] || found=$rest
	done <"$folder/deployed"
	if [ -n "$found" ]; then printf '%s\n' "$found"; fi
}

main "$@"
