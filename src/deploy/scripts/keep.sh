#!/bin/sh
# On the builder, as root: makes the root of a run's build the host's lasting one, which keeps the
# system in the cache until the host's next confirmed deploy. $1 is the host, $2 what the run's roots
# are called. A root belongs to its run until then: another run of the same host has its own.
main() {
	roots=/nix/var/nix/gcroots/nixdash
	[ -L "$roots/$1.$2" ] || exit 0
	mv -T "$roots/$1.$2" "$roots/$1"
	# What was built before this and never confirmed is not the host's next system any more.
	next=$(stat -c %Y "$roots/$1.next" 2>/dev/null) || exit 0
	[ "$next" -gt "$(stat -c %Y "$roots/$1")" ] || rm -f "$roots/$1.next"
}

main "$@"
