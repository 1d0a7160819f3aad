#!/bin/sh
# Restarts the machine, as root. $1 is what it must be about to start: nothing is done where the profile
# names another system, since somebody else deployed in between. $2 is the start of the machine that is to
# end: nothing is done where that is over, since a run that is gone on with asks again. Prints `restarting`
# when it begins.
main() {
	if [ "$(cat /proc/sys/kernel/random/boot_id)" != "$2" ]; then
		echo restarted
		exit 0
	fi
	if [ "$(readlink -f /nix/var/nix/profiles/system)" != "$1" ]; then
		echo "the system profile is $(readlink -f /nix/var/nix/profiles/system) and not $1" >&2
		exit 1
	fi
	# The answer travels before the network goes.
	systemd-run --quiet --collect --unit=nixdash-reboot --on-active=1s --timer-property=AccuracySec=100ms \
		systemctl reboot >&2 || systemctl --no-block reboot >&2 || exit 1
	echo restarting
}

main "$@"
