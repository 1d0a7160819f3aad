#!/bin/sh
# Runs a hook on a host, as root. $1 seconds that it may take, then variables for its environment
# (NAME=VALUE), then the program and its arguments. What it prints is passed on; the last line that is printed
# here has a tab in it and says how it ended: `hook-ended`, and its exit code or `late`. `limited.sh` is put
# before it when nixdash is compiled.
# shellcheck disable=SC2154 # `limited` sets `how`
main() {
	seconds=$1
	shift
	limited "$seconds" env "$@" </dev/null
	printf '\nhook-ended\t%s\n' "$how"
}

main "$@"
