#!/bin/sh
# Tells the supervisor that the host can be reached, as root, over a connection made for this.
# $1 the job's folder. Prints the boot id, the running system and, when it is decided, the outcome.
[ -d "$1" ] && : >"$1/ack"
printf 'boot_id\t%s\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'running\t%s\n' "$(readlink -f /run/current-system)"
if [ -e "$1/activated" ]; then
	printf 'activated\t%s\n' "$(cat "$1/activated")"
fi
if [ -e "$1/outcome" ]; then
	printf 'outcome\t%s\n' "$(cat "$1/outcome")"
fi
