#!/bin/sh
# Looks at a machine that was restarted, as root: waits until all that starts with it has started, then
# prints key<TAB>value lines. `host-facts.sh` is put before it when nixdash is compiled. $1 the seconds that
# it waits at most.
# shellcheck disable=SC2034,SC2154 # for and from the file before it
main() {
	root=''
	timeout "$1" systemctl is-system-running --wait >/dev/null 2>&1
	printf 'state\t%s\n' "$(systemctl is-system-running 2>/dev/null)"
	printf 'running\t%s\n' "$(readlink -f /run/current-system)"
	failed_units | while read -r unit; do printf 'failed\t%s\n' "$unit"; done
	printf 'end\tok\n'
}

main "$@"
