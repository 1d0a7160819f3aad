#!/bin/sh
# Looks at a machine that was restarted, as root: waits until all that starts with it has started, then
# prints key<TAB>value lines. `failed-units.sh` is put before it when nixdash is compiled. $1 the seconds that
# it waits at most.
main() {
	timeout "$1" systemctl is-system-running --wait >/dev/null 2>&1
	printf 'state\t%s\n' "$(systemctl is-system-running 2>/dev/null)"
	printf 'running\t%s\n' "$(readlink -f /run/current-system)"
	say_failed_units asked_failed_units
	printf 'end\tok\n'
}

main "$@"
