#!/bin/sh
# Runs a hook on a host, as root. $1 seconds that it may take, then variables for its environment
# (NAME=VALUE), then the program and its arguments. What it prints is passed on; the last line that is printed
# here has a tab in it and says how it ended: `hook-ended`, and its exit code or `late`.

# How long a hook that was told to end may take for that, in seconds.
grace=5

main() {
	seconds=$1
	shift
	began=$(uptime_cs)
	timeout -k "$grace" "$seconds" env "$@" </dev/null
	how=$?
	took=$(($(uptime_cs) - began))
	# A program may exit with the codes of `timeout` itself.
	case $how in
	124) [ "$took" -lt $((seconds * 100)) ] || how=late ;;
	137) [ "$took" -lt $(((seconds + grace) * 100)) ] || how=late ;;
	esac
	printf '\nhook-ended\t%s\n' "$how"
}

# Prints for how many hundredths of a second the machine has been up: no change of the clock changes that.
uptime_cs() {
	read -r up _ </proc/uptime
	printf '%s' $((${up%%.*} * 100 + 1${up#*.} - 100))
}

main "$@"
