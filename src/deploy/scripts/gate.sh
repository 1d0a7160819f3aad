#!/bin/sh
# Runs the command of a gate on a host, as root. $1 how long it may take in seconds, $2 … the program
# and its arguments. Prints key<TAB>value lines: what came of it, and the last line that it printed. The
# output goes through a file: a child that the program leaves behind would hold a pipe open.
main() {
	limit=$1
	shift
	printed=$(mktemp) || printed=/dev/null
	trap '[ "$printed" = /dev/null ] || rm -f "$printed"' EXIT
	timeout -k 5 "$limit" "$@" >"$printed" 2>&1 </dev/null
	code=$?
	printf 'code\t%s\n' "$code"
	printf 'said\t%s\n' "$(tail -c 4096 "$printed" | tail -n 1)"
}

main "$@"
