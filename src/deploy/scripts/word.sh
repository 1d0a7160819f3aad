#!/bin/sh
# Gives the supervisor the word after the checks, as root. `results.sh` is put before it when nixdash
# is compiled. $1 the job's name, $2 the word. The first word counts. Prints the boot id, what was
# decided before it came, and the word that counts.
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
	*) has outcome || has word || leave word "$2" ;;
	esac
	wake wake-job
	printf 'word\t%s\n' "$(result word)"
}

main "$@"
