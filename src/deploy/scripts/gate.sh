#!/bin/sh
# Runs the command of a gate on a host, as root. $1 how long it may take in seconds, $2 … the program
# and its arguments. Prints key<TAB>value lines: what came of it (its exit code, or `late`), and the last line
# that it printed. The output goes through a file: a child that the program leaves behind would hold a pipe open.
# `limited.sh` is put before it when nixdash is compiled.
# shellcheck disable=SC2154 # `limited` sets `how`
main() {
	printed=$(mktemp) || printed=/dev/null
	trap '[ "$printed" = /dev/null ] || rm -f "$printed"' EXIT
	limited "$@" >"$printed" 2>&1 </dev/null
	printf 'code\t%s\n' "$how"
	printf 'said\t%s\n' "$(tail -c 4096 "$printed" | tail -n 1)"
}

main "$@"
