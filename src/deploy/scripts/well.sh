#!/bin/sh
# Looks whether a host that got a new system is still well, as root: which system runs, in which start of
# the machine and for how many seconds since that, whether all has started, which units failed, and whether each configured command ($2, $3 …) succeeds. $1 is the
# system that it got: it is named where one of its specialisations runs. `specialisations.sh` and `failed-units.sh`
# are put before it when nixdash is compiled. Changes nothing. Prints key<TAB>value lines.
main() {
	toplevel=$1
	shift
	running=$(readlink -f /run/current-system)
	printf 'running\t%s\n' "$running"
	if [ -n "$toplevel" ] && name_of_specialisation "$toplevel" "$running" >/dev/null; then
		printf 'system\t%s\n' "$toplevel"
	fi
	if IFS= read -r boot_id </proc/sys/kernel/random/boot_id; then printf 'boot_id\t%s\n' "$boot_id"; fi
	printf 'state\t%s\n' "$(timeout 10 systemctl is-system-running 2>/dev/null)"
	if read -r up _ </proc/uptime; then printf 'up\t%s\n' "${up%%.*}"; fi
	number=0
	for command; do
		timeout -k 5 60 /bin/sh -c "$command" >/dev/null 2>&1 </dev/null || printf 'broken\t%s\n' "$number"
		number=$((number + 1))
	done
	say_failed_units
}

main "$@"
