# shellcheck shell=sh
# Runs a command for so long at most. Put before the scripts that need it when nixdash is compiled.

# How long a command that was told to end may take for that, in seconds.
grace=5

# Runs a command. $1 the seconds that it may take, the rest the command. Sets `how`: its exit code, or `late`
# where the time was over. A command may exit with the codes of `timeout` itself. `timeout` leaves the process
# group of the script, so that a command would go on when the script is ended: it is told.
limited() {
	began=$(uptime_cs)
	timeout -k "$grace" "$@" &
	command=$!
	trap 'kill -TERM "$command" 2>/dev/null; exit 143' TERM
	wait "$command"
	how=$?
	trap - TERM
	took=$(($(uptime_cs) - began))
	case $how in
	124) [ "$took" -lt $(($1 * 100)) ] || how=late ;;
	137) [ "$took" -lt $((($1 + grace) * 100)) ] || how=late ;;
	esac
}

# Prints for how many hundredths of a second the machine has been up: no change of the clock changes that.
uptime_cs() {
	read -r up _ </proc/uptime
	printf '%s' $((${up%%.*} * 100 + 1${up#*.} - 100))
}

