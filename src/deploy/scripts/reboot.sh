#!/bin/sh
# Restarts the machine, as root. $1 is what it must be about to start: nothing is done where the profile
# names another system, since somebody else deployed in between. $2 is the start of the machine that is to
# end: nothing is done where that is over, since a run that is gone on with asks again. Nothing is done
# either while somebody else deploys to it. `units.sh` is put before it when nixdash is compiled. Prints
# `restarting` when it begins.

# Takes the lock of deploys, and keeps it until the restart is ordered.
take_lock() {
	mkdir -p /run/nixdash && chmod 700 /run/nixdash && exec 9>>/run/nixdash/lock || return 1
	# Our own supervisor may hold it for a moment.
	flock -w 5 9 || return 1
	unit=$(unit_of "$(cat /run/nixdash/owner 2>/dev/null)")
	! is_there "$unit"
}

main() {
	if [ "$(cat /proc/sys/kernel/random/boot_id)" != "$2" ]; then
		echo restarted
		exit 0
	fi
	if [ "$(readlink -f /nix/var/nix/profiles/system)" != "$1" ]; then
		echo "the system profile is $(readlink -f /nix/var/nix/profiles/system) and not $1" >&2
		exit 1
	fi
	if ! take_lock; then
		holder=$(sed -n 's/.*who=\([^ ]*\) run=\([^ ]*\).*/\1 with run \2/p' /run/nixdash/owner 2>/dev/null)
		echo "somebody deploys to it now${holder:+: $holder}" >&2
		exit 1
	fi
	# The answer travels before the network goes.
	systemd-run --quiet --collect --unit=nixdash-reboot --on-active=1s --timer-property=AccuracySec=100ms \
		systemctl reboot >&2 9>&- || systemctl --no-block reboot >&2 || exit 1
	echo restarting
}

main "$@"
