#!/bin/sh
# Starts a job, as root: a transient unit that runs a script. It goes on when the connection ends.
# Asked again for the same job, it starts nothing and prints `there`. Then it says that the job is
# there, and follows its log. `results.sh`, `units.sh` and `follow.sh` are put before it when nixdash
# is compiled.
#
# $1 the job's name, $2 where its log lies (memory or disk), $3 seconds that the job may take to end
# when it is stopped, or 0 for a job that needs nothing done afterwards, $4 the result that is waited
# for (or exit), $5 a mark, $6 the script, the rest its arguments. Prints a line of the mark, a tab and
# `begun`, and then what `follow.sh` prints.
#
# The job's folder is /run/nixdash/jobs/NAME. There are: log (standard output and error), exit (the code, when it has ended), marks (how long the log was at
# which time, a line `LENGTH TIME` at most once a second while it grows) and what the script leaves.

base=/run/nixdash/jobs
# The format of what follows is given by `results.sh`.
: "${job_format:=1}"
logs=/var/lib/nixdash/jobs

# $1 what could not be done.
give_up() {
	# A folder that another start made is not ours to remove.
	[ -z "$made" ] || rm -rf "$dir"
	echo "$1" >&2
	exit 1
}

# Makes the log. $1 memory or disk.
make_log() {
	case $1 in
	memory) : >"$dir/log" ;;
	disk)
		{ [ -d "$logs" ] || mkdir -p "$logs" && chmod 700 "$logs"; } && : >"$logs/$name.log" &&
			ln -s "$logs/$name.log" "$dir/log"
		;;
	esac
}

# Copies lines without a process of its own.
copy() {
	while IFS= read -r copied; do printf '%s\n' "$copied"; done
}

# Writes what the unit runs, and what it runs afterwards.
write_wrappers() {
	copy >"$dir/run" <<'RUN' && copy >"$dir/after" <<'AFTER'
dir=$1
shift
: >"$dir/started"
/bin/sh "$dir/script" "$@" >>"$dir/log" 2>&1 </dev/null &
job=$!
marked=0
pause=1
# Notes how long the log is now, when it grew.
mark() {
	length=$(wc -c <"$dir/log")
	[ "$length" -ne "$marked" ] || return 0
	echo "$length $(date +%s)" >>"$dir/marks"
	marked=$length
}
# Seldomer with time: a job of many hours has some thousand marks.
(
	while sleep "$((pause / 1000 + 1))"; do
		mark
		pause=$((pause + 1))
	done
) >/dev/null 2>&1 &
marks=$!
# systemd tells this process to end, and ends the others when it does.
trap 'kill -TERM "$job" 2>/dev/null' TERM
while :; do
	wait "$job"
	code=$?
	kill -0 "$job" 2>/dev/null || break
done
kill "$marks" 2>/dev/null
mark 2>/dev/null
printf '%s\t.\n' "$code" 1<>"$dir/exit"
[ ! -p "$dir/wake-follower" ] || echo 1<>"$dir/wake-follower"
RUN
dir=$1
set -f
IFS='
'
# One argument per line: they are store paths, numbers and plain words.
exec /bin/sh "$dir/script" $(cat "$dir/arguments") after >>"$dir/log" 2>&1 </dev/null
AFTER
}

# Starts the unit. One that must leave its host in order gets a second command, which systemd runs
# whatever ended the first one; it is the last that the kernel ends for want of memory.
begin() {
	for argument; do
		# systemd would put its own variables into what a job is given.
		case $argument in
		*\$*)
			argument=$(printf '%s.' "$argument" | sed 's/\$/$$/g')
			argument=${argument%.}
			;;
		esac
		shift
		set -- "$@" "$argument"
	done
	set -- /bin/sh "$dir/run" "$dir" "$@"
	if [ "$stop_limit" -gt 0 ]; then
		set -- --property=KillMode=mixed --property=TimeoutStopSec="$stop_limit" \
			--property=OOMPolicy=continue --property=OOMScoreAdjust=-900 \
			--property=ManagedOOMPreference=omit \
			--property=ExecStopPost="/bin/sh $dir/after $dir" "$@"
	fi
	systemd-run --quiet --collect --no-ask-password --service-type=exec --unit="$unit" \
		--setenv=PATH="$path" --setenv=HOME=/root --setenv=LC_ALL=C ${daemon:+--setenv=NIX_REMOTE=daemon} \
		${LOCALE_ARCHIVE:+--setenv=LOCALE_ARCHIVE="$LOCALE_ARCHIVE"} "$@" 8>&-
}

start() {
	name=$1 place=$2 stop_limit=$3 body=$6 made=''
	shift 6
	umask 077
	dir=$base/$name
	unit=nixdash-$name
	command -v systemd-run >/dev/null 2>&1 ||
		give_up "no systemd runs here, and jobs need it; name a Linux machine with systemd (for a Mac, its Linux VM)"
	if [ ! -d "$base" ] && ! { mkdir -p "$base" && chmod 700 /run/nixdash; }; then
		echo "nothing can be made below /run/nixdash; is /run full?" >&2
		exit 1
	fi
	# A second start of the same job waits for the first one, and then finds it.
	command exec 8>>"$base/.starting" || give_up "$base/.starting cannot be made; is /run full?"
	flock -w 20 8 || give_up "another start is under way"
	# The folder is made before the unit is started: without it there is none.
	if [ -e "$dir" ]; then
		if [ -e "$dir/started" ] || is_there "$unit"; then
			echo there
			exit 0
		fi
		rm -rf "$dir"
	fi
	mkdir "$dir" || give_up "$dir cannot be made; is /run full?"
	made=yes
	printf '%s' "$body" >"$dir/script" || give_up "$dir/script cannot be written; is /run full?"
	for result in exit facts activated outcome word; do
		prepare_result "$result" || give_up "$dir/$result cannot be written; is /run full?"
	done
	mkfifo "$dir/wake-follower" "$dir/wake-job" || give_up "$dir/wake-job cannot be made; is /run full?"
	printf '%s\n' "$job_format" >"$dir/format" || give_up "$dir/format cannot be written; is /run full?"
	: >"$dir/marks" || give_up "$dir/marks cannot be made; is /run full?"
	make_log "$place" || give_up "the log cannot be made; is the disk of $logs full?"
	printf '%s\n' "$@" >"$dir/arguments" || give_up "$dir/arguments cannot be written; is /run full?"
	write_wrappers || give_up "$dir/run cannot be written; is /run full?"
	# Resolved now: an activation moves /run/current-system under the running job.
	path=$(readlink -f /run/current-system)/sw/bin
	[ -d "$path" ] || path=$PATH
	# An installation of Nix for one user has no daemon.
	daemon=''
	[ ! -S /nix/var/nix/daemon-socket/socket ] || daemon=yes
	begin "$@" || is_there "$unit" || [ -e "$dir/started" ] || give_up "systemd did not start $unit"
}

main() {
	# In a shell of its own: it ends where it has nothing more to do, and lets go of its lock.
	(start "$@") || exit
	printf '%s\tbegun\n' "$5"
	follow "$1" 0 "$4" "$5"
}

main "$@"
