#!/bin/sh
# Prints a job's log from an offset while the job runs, as root, and at the end one line that
# begins with a mark that the log cannot know. $1 folder, $2 offset in bytes, $3 the file that is
# waited for (or exit), $4 the unit, $5 the mark.
# The last line says: mark, then gone | dead | over, then exit code, activated, outcome.
dir=$1
offset=$2
awaited=$3
unit=$4
mark=$5

if [ ! -e "$dir/log" ]; then
	printf '\n%s\tgone\n' "$mark"
	exit 0
fi

over() { [ -e "$dir/$awaited" ] || [ -e "$dir/exit" ]; }

wait_for_end() {
	turn=0
	until over; do
		sleep 0.05
		turn=$((turn + 1))
		if [ "$((turn % 40))" = 0 ] && ! systemctl is-active --quiet "$unit"; then
			sleep 0.2
			over || return
		fi
	done
}

wait_for_end &
tail -c "+$((offset + 1))" -s 0.05 -f --pid="$!" "$dir/log"

state=dead
over && state=over
# `read` keeps the last line without its end of line; a file that is not there leaves it empty.
code='' activated='' outcome=''
[ -e "$dir/exit" ] && IFS= read -r code <"$dir/exit"
[ -e "$dir/activated" ] && IFS= read -r activated <"$dir/activated"
[ -e "$dir/outcome" ] && IFS= read -r outcome <"$dir/outcome"
printf '\n%s\t%s\t%s\t%s\t%s\n' "$mark" "$state" "$code" "$activated" "$outcome"
