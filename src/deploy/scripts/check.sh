#!/bin/sh
# Looks at a freshly activated host, as root: which units failed, and whether each configured
# command ($2, $3 …) succeeds, up to the first that does not: the host goes back then, and the others would
# only keep it up. $1 is the supervisor's job, which is told when the checks have ended.
# `results.sh`, `limited.sh` and `failed-units.sh` are put before it when nixdash is compiled. Prints lines of a key and values with tabs between: `held`
# or `broken` with the number of the command, the first is 0, and of one that failed how it ended and the last line
# that it printed; `failed` with a unit and the last line that it wrote itself in this run of it; `units` and `read`
# behind those, where systemd said which units failed.

# How long a command may take, in seconds.
limit=60

main() {
	job=$1
	shift
	# Through a file: a child that a command leaves behind would hold a pipe open.
	printed=$(mktemp) || printed=/dev/null
	trap '[ "$printed" = /dev/null ] || rm -f "$printed"' EXIT
	number=0
	for command; do
		limited "$limit" /bin/sh -c "$command" >"$printed" 2>&1 </dev/null
		if [ "$how" = 0 ]; then
			printf 'held\t%s\n' "$number"
		else
			[ "$how" = late ] && how="did not end within $limit s" || how="exit code $how"
			printf 'broken\t%s\t%s\t%s\n' "$number" "$how" "$(tail -c 4096 "$printed" | tail -n 1)"
			break
		fi
		number=$((number + 1))
	done
	say_units
	dir=/run/nixdash/jobs/$job
	if [ -d "$dir" ]; then
		: >"$dir/checked"
		wake wake-job
	fi
}

# Says which units failed.
say_units() {
	failed=$(asked_failed_units) || return
	[ -z "$failed" ] || printf '%s\n' "$failed" | while read -r unit; do
		printf 'failed\t%s\t%s\n' "$unit" "$(last_words "$unit")"
	done
	printf 'units\tread\n'
}

# What systemd says of the unit is no word of the unit's. $1 the unit.
last_words() {
	invocation=$(systemctl show --property=InvocationID --value "$1" 2>/dev/null)
	[ -n "$invocation" ] || return
	# What it wrote a moment ago may be on its way into the journal.
	timeout 5 journalctl --sync >/dev/null 2>&1
	timeout 5 journalctl --quiet --no-pager --output=cat --lines=1 \
		"_SYSTEMD_INVOCATION_ID=$invocation" 2>/dev/null | head -n 1
}

main "$@"
