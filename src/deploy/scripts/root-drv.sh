#!/bin/sh
# Roots a derivation between its evaluation and its build, as root, so that a garbage collection in
# between cannot take it. $1 the derivation, $2 the root; $3 and $4 the system that it builds and a root for
# that: where the system is there already it is rooted too, and `rooted` is printed.
main() {
	mkdir -p "${2%/*}" && ln -sfn "$1" "$2" || return
	[ "$#" -ge 4 ] || return 0
	ln -sfn "$3" "$4" || return
	# Looked at with the root in place: a collector that runs now keeps it from here on.
	if nix-store --check-validity "$3" 2>/dev/null; then echo rooted; else rm -f "$4"; fi
}

main "$@"
