#!/bin/sh
# Gives the supervisor the word after the checks, as root. `results.sh` is put before it when nixdash
# is compiled. $1 the job's name, $2 the word: `abort CODE why`, `commit`, or `commit degraded` where something is wrong with the
# system that is kept. That is said beside the word, which an older supervisor understands as well. The first word
# counts. Prints the boot id, what was decided before it came, and the word that counts.
# With $3 an offset, $4 a result and $5 a mark it goes on as `follow.sh` says, which is put before it then:
# behind a line of the mark, a tab and `begun`.
main() {
	dir=/run/nixdash/jobs/$1
	printf 'boot_id\t%s\n' "$(cat /proc/sys/kernel/random/boot_id)"
	[ -d "$dir" ] || exit 3
	printf 'job\tthere\n'
	if has outcome; then printf 'outcome\t%s\n' "$(result outcome)"; fi
	if has activated; then printf 'activated\t%s\n' "$(result activated)"; fi
	# A host on its way back is not told to keep what it leaves; of two words the first counts.
	exec 7<"$dir/script"
	flock -w 5 7
	case $(result activated) in
	*' back'*) ;;
	*) has outcome || has word || say "$2" ;;
	esac
	wake wake-job
	# Whoever gives another word need not wait until the job has ended.
	exec 7<&-
	printf 'word\t%s\n' "$(result word)"
}

# Says the word. $1 the word.
say() {
	case $1 in
	'commit degraded')
		true >"$dir/degraded"
		leave word commit
		;;
	*) leave word "$1" ;;
	esac
}

main "$@"
if [ "$#" -ge 5 ]; then
	printf '%s\tbegun\n' "$5"
	follow "$1" "$3" "$4" "$5"
fi
