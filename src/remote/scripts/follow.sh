#!/bin/sh
# Prints a job's log from an offset while the job runs, as root, and at the end one line that begins
# with a mark that the log cannot know. `results.sh` and `units.sh` are put before it and a call of
# `follow` behind it when nixdash is compiled; `start.sh` calls it too.
# Before the log stands a line with that mark, a tab, `marks`, and when the log was written, separated by
# tabs: the time here, how long the log is, and what the job noted behind the offset, as `OFFSET TIME,` with a
# dot behind the last one.
# $1 the job's name, $2 offset in bytes, $3 the result that is waited for (or exit), $4 the mark.
# The last line says: mark, then gone | shorter | dead | over, then how long the log was at least, exit code,
# activated, outcome. All of the log up to that length may not have been printed before it.
# `shorter` is a log that ends before the offset: it is not the one that was read before.

over() { has "$awaited" || has 'exit'; }

wait_for_end() {
	if [ -p "$dir/wake-follower" ]; then command exec 4<>"$dir/wake-follower"; fi
	turn=0
	until over; do
		# The supervisor and a second operator see by this that somebody is there.
		: >"$dir/heard"
		wait_at wake-follower
		turn=$((turn + 1))
		if [ "$((turn % 4))" = 0 ] && ! is_there "$unit"; then
			sleep 0.2
			over || return
		fi
	done
}

# Prints when the log was written. A job of an older nixdash noted nothing. $1 how long the log is.
print_marks() {
	printf '%s\tmarks\t%s\t%s\t' "$mark" "$(date +%s)" "$1"
	if [ -r "$dir/marks" ]; then
		while read -r length at; do
			[ "$length" -le "$offset" ] || printf '%s %s,' "$length" "$at"
		done <"$dir/marks" 2>/dev/null
		printf .
	fi
	echo
}

follow() {
	dir=/run/nixdash/jobs/$1
	offset=$2
	awaited=$3
	unit=nixdash-$1
	mark=$4
	if [ ! -e "$dir/log" ]; then
		printf '\n%s\tgone\n' "$mark"
		exit 0
	fi
	length=$(wc -c <"$dir/log")
	if [ "$length" -lt "$offset" ]; then
		printf '\n%s\tshorter\n' "$mark"
		exit 0
	fi
	: >"$dir/heard"
	print_marks "$length"
	# tail hears of what is written at once, but not where it is given a link.
	log=$dir/log
	[ ! -L "$log" ] || log=$(readlink "$log")
	if over; then
		length=$(wc -c <"$log")
		tail -c "+$((offset + 1))" "$log"
	else
		wait_for_end &
		waiter=$!
		# Where no file system tells it what is written, it looks that often.
		tail -c "+$((offset + 1))" -s 0.005 -f "$log" &
		printer=$!
		wait "$waiter"
		length=$(wc -c <"$log")
		# Whoever reads this asks again for what it did not come to print, by the length.
		kill "$printer" 2>/dev/null
		wait "$printer" 2>/dev/null
	fi
	state=dead
	over && state=over
	printf '\n%s\t%s\t%s\t%s\t%s\t%s\n' "$mark" "$state" "$length" \
		"$(result 'exit')" "$(result activated)" "$(result outcome)"
}
