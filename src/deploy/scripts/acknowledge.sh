#!/bin/sh
# Tells the supervisor that the host can be reached, as root, over a connection made for this.
# `results.sh` is put before it when nixdash is compiled. $1 the job's name. Prints the boot id, whether
# the job is there (a restart forgets it), the running system and, when it is decided, the outcome.
main() {
	dir=/run/nixdash/jobs/$1
	if [ -d "$dir" ]; then
		: >"$dir/ack" && : >"$dir/heard"
		wake wake-job
		printf 'job\tthere\n'
	fi
	printf 'boot_id\t%s\n' "$(cat /proc/sys/kernel/random/boot_id)"
	printf 'running\t%s\n' "$(readlink -f /run/current-system)"
	if has activated; then printf 'activated\t%s\n' "$(result activated)"; fi
	if has outcome; then printf 'outcome\t%s\n' "$(result outcome)"; fi
}

main "$@"
