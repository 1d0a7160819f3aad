# Waits for a line, which says that the program of the process group $1 ended by itself. Where standard input
# ends without one (who started the program gives it up, or is gone itself), it ends the group: each process of
# it is told to end, and those that are still there after $2 tenths of a second are killed.
# shellcheck shell=sh

trap '' HUP INT TERM
if read -r _; then
	exit
fi
kill -s TERM -- "-$1" 2>/dev/null || exit 0
# One that asked at the terminal was stopped by the kernel, and hears of nothing until it goes on.
kill -s CONT -- "-$1" 2>/dev/null
left=$2
while [ "$left" -gt 0 ]; do
	sleep 0.1
	kill -s 0 -- "-$1" 2>/dev/null || exit 0
	left=$((left - 1))
done
kill -s KILL -- "-$1" 2>/dev/null
