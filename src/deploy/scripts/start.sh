#!/bin/sh
# Starts a job, as root: a transient unit that runs the script given on standard input. It goes on
# when the connection ends. $1 is the job's folder, which must be new, $2 the unit's name, the rest
# the script's arguments. Leaves in the folder: log (standard output and error), exit (the code,
# when it has ended).
dir=$1
unit=$2
shift 2
umask 077
mkdir -p "${dir%/*}"
mkdir "$dir" || exit 1
: >"$dir/log"
cat >"$dir/script"
cat >"$dir/run" <<'RUN'
dir=$1
shift
/bin/sh "$dir/script" "$@" >>"$dir/log" 2>&1 </dev/null
echo "$?" >"$dir/exit.new"
mv "$dir/exit.new" "$dir/exit"
RUN
# Resolved now: an activation moves /run/current-system under the running job.
path=$(readlink -f /run/current-system)/sw/bin
[ -d "$path" ] || path=$PATH
exec systemd-run --quiet --collect --no-ask-password --service-type=exec --unit="$unit" \
	--setenv=PATH="$path" --setenv=HOME=/root --setenv=LC_ALL=C --setenv=NIX_REMOTE=daemon \
	${LOCALE_ARCHIVE:+--setenv=LOCALE_ARCHIVE="$LOCALE_ARCHIVE"} \
	/bin/sh "$dir/run" "$dir" "$@"
