#!/bin/sh
# Looks whether a host that got a new system is still well, as root: which system runs, which units
# failed, and whether each configured command ($1, $2 …) succeeds. Changes nothing. Prints
# key<TAB>value lines.
main() {
	printf 'running\t%s\n' "$(readlink -f /run/current-system)"
	for command; do
		timeout -k 5 60 /bin/sh -c "$command" >/dev/null 2>&1 </dev/null || printf 'broken\t%s\n' "$command"
	done
	timeout 10 systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null |
		while read -r unit _; do printf 'failed\t%s\n' "$unit"; done
}

main "$@"
