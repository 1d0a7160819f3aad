#!/bin/sh
# Roots a system that is in the store already, on the builder, as root. $1 the system, $2 the root.
# Fails when it is not there any more.
main() {
	mkdir -p "${2%/*}" || exit 1
	ln -sfn "$1" "$2" || exit 1
	# Looked at with the root in place: a collector that runs now keeps it from here on.
	nix-store --check-validity "$1" || {
		rm -f "$2"
		exit 1
	}
}

main "$@"
