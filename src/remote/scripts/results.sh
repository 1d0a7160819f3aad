# shellcheck shell=sh
# shellcheck disable=SC2154 # `dir` is set by the script that this is put before.
# The results of a job. Each is one line in a file that was made, with a page of blanks, when the job
# was started: it is written in place, so that a full disk cannot stop it. A line counts only with
# its end mark, so a line that is half there is none. Put before the scripts that need it when
# nixdash is compiled. `dir` is the job's folder.

# The format of a job's folder: which files there are, and what stands in them. A folder without a file
# `format` is of a nixdash that wrote none, and has format 1.
# shellcheck disable=SC2034 # for the scripts that this is put before
job_format=1

line_end='
'

# Prints the format of the job's folder.
format_of() {
	if [ -r "$dir/format" ]; then head -n 1 "$dir/format"; else echo 1; fi
}

# Makes an empty result. $1 its name.
prepare_result() {
	# A page is there or not, and the shell says so.
	printf '%4095s\n' '' >"$dir/$1"
}

# Writes a result, and wakes who follows the job. $1 its name, $2 the text, whose lines become one.
leave() {
	text=$2
	case $text in
	*"$line_end"*) text=$(printf '%s' "$text" | tr '\n' ' ') ;;
	esac
	printf '%.3900s\t.\n' "$text" 1<>"$dir/$1" || return 1
	wake wake-follower
	return 0
}

# Wakes who waits at a pipe of the job's folder. $1 the pipe. There is none where an older nixdash made the
# folder: who waits looks again now and then all the same.
wake() {
	# Opened for both, it waits for nobody, and what nobody reads is gone.
	[ ! -p "$dir/$1" ] || echo 1<>"$dir/$1"
}

# Waits until somebody wakes who waits at a pipe of the job's folder, for half a second at most. $1 the pipe,
# which is open as descriptor 4 since before the last look, or is not there. Sets `waited`: for how many
# tenths of a second at most.
# shellcheck disable=SC2034 # for the scripts that this is put before
wait_at() {
	if [ -p "$dir/$1" ]; then
		timeout 0.5 head -c 1 <&4 >/dev/null 2>&1
		case $? in
		# Woken, or the time was over; anything else did not wait at all.
		0 | 124)
			waited=5
			return
			;;
		esac
	fi
	sleep 0.1
	waited=1
}

# Prints a result and succeeds, or fails when there is none yet. $1 its name.
result() {
	[ -e "$dir/$1" ] || return 1
	IFS= read -r line <"$dir/$1" || return 1
	case $line in
	*'	.') printf '%s\n' "${line%	.}" ;;
	*) return 1 ;;
	esac
}

# Tells whether there is a result. $1 its name.
has() {
	result "$1" >/dev/null
}

