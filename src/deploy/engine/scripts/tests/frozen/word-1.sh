# shellcheck shell=sh
# shellcheck disable=SC2154 # `dir` is set by the script that this is put before.
# The results of a job. Each is one line in a file that was made, with a page of blanks, when the job
# was started: it is written in place, so that a full disk cannot stop it. A line counts only with
# its end mark, so a line that is half there is none. Put before the scripts that need it when
# nixdash is compiled. `dir` is the job's folder.

# Makes an empty result. $1 its name.
prepare_result() {
	# A page is there or not, and the shell says so.
	printf '%4095s\n' '' >"$dir/$1"
}

# Writes a result. $1 its name, $2 the text.
leave() {
	printf '%.3900s\t.\n' "$2" 1<>"$dir/$1"
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

#!/bin/sh
# Gives the supervisor the word after the checks, as root. `results.sh` is put before it when nixdash
# is compiled. $1 the job's name, $2 the word. The first word counts. Prints the boot id, what was
# decided before it came, and the word that counts.
main() {
	dir=/run/nixdash/jobs/$1
	printf 'boot_id\t%s\n' "$(cat /proc/sys/kernel/random/boot_id)"
	[ -d "$dir" ] || exit 3
	if has outcome; then printf 'outcome\t%s\n' "$(result outcome)"; fi
	if has activated; then printf 'activated\t%s\n' "$(result activated)"; fi
	# A host on its way back is not told to keep what it leaves; of two words the first counts.
	exec 7<"$dir/script"
	flock -w 5 7
	case $(result activated) in
	*' back'*) ;;
	*) has outcome || has word || leave word "$2" ;;
	esac
	printf 'word\t%s\n' "$(result word)"
}

main "$@"
