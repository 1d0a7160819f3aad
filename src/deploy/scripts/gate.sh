#!/bin/sh
# Runs the command of a gate on a host, as root. $1 how long it may take in seconds, $2 … the program
# and its arguments. Prints key<TAB>value lines: what came of it (its exit code, or `late`), and the last line
# that it printed. The output goes through a file: a child that the program leaves behind would hold a pipe open.

# How long a command that was told to end may take for that, in seconds.
grace=5

main() {
	limit=$1
	shift
	printed=$(mktemp) || printed=/dev/null
	trap '[ "$printed" = /dev/null ] || rm -f "$printed"' EXIT
	began=$(uptime_cs)
	timeout -k "$grace" "$limit" "$@" >"$printed" 2>&1 </dev/null
	code=$?
	took=$(($(uptime_cs) - began))
	# A command may exit with the codes of `timeout` itself.
	case $code in
	124) [ "$took" -lt $((limit * 100)) ] || code=late ;;
	137) [ "$took" -lt $(((limit + grace) * 100)) ] || code=late ;;
	esac
	printf 'code\t%s\n' "$code"
	printf 'said\t%s\n' "$(tail -c 4096 "$printed" | tail -n 1)"
}

# Prints for how many hundredths of a second the machine has been up: no change of the clock changes that.
uptime_cs() {
	read -r up _ </proc/uptime
	printf '%s' $((${up%%.*} * 100 + 1${up#*.} - 100))
}

main "$@"
