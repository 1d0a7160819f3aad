#!/bin/sh
# Runs the command of a gate on a host, as root. $1 how long it may take in seconds, $2 … the program
# and its arguments. Prints key<TAB>value lines: what came of it, and the last line that it printed.
main() {
	limit=$1
	shift
	said=$(timeout -k 5 "$limit" "$@" 2>&1 </dev/null)
	code=$?
	printf 'code\t%s\n' "$code"
	printf 'said\t%s\n' "$(printf '%s' "$said" | tail -n 1)"
}

main "$@"
