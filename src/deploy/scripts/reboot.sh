#!/bin/sh
# Restarts a machine whose new system is permanent, as root. `units.sh` is put before it when nixdash is
# compiled.
#
# `look JOB SEEN` says which start of the machine is to end: prints `before`, a tab and its boot id; or
# `restarted` where that is over, since the machine was restarted after its new system was activated, or is
# seen to be restarted by a run that is gone on with. JOB is the job that made the system permanent: its folder
# goes with a restart. SEEN is the boot id before that job, and may be of a start long ago.
#
# `order SYSTEM BEFORE` restarts it, and prints `restarting` when it begins. SYSTEM is what it must be about to
# start: nothing is done where the profile names another system, since somebody else deployed in between.
# BEFORE is the start that is to end: nothing is done where it is over. Nothing is done either while somebody
# else deploys to it, or while a program keeps the machine from going down.

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# $1 the job, $2 the boot id that was seen before it.
look() {
	now=$(boot_id)
	if [ "$now" != "$2" ] && [ ! -d "/run/nixdash/jobs/$1" ]; then
		echo restarted
	else
		printf 'before\t%s\n' "$now"
	fi
}

# Takes the lock of deploys, and keeps it until the restart is ordered.
take_lock() {
	mkdir -p /run/nixdash && chmod 700 /run/nixdash && exec 9>>/run/nixdash/lock || return 1
	# Our own supervisor may hold it for a moment.
	flock -w 5 9 || return 1
	unit=$(unit_of "$(cat /run/nixdash/owner 2>/dev/null)")
	! is_there "$unit"
}

# Prints who keeps the machine from going down, and why, in their own words; nothing where nobody does. Since
# systemd 257 that binds root too, and the refusal would come when we have answered already.
keeps_it_up() {
	timeout 5 busctl --json=short call org.freedesktop.login1 /org/freedesktop/login1 \
		org.freedesktop.login1.Manager ListInhibitors 2>/dev/null |
		sed -e 's/^.*"data":\[\[\[//' -e 's/\],\["/\n"/g' |
		sed -nE 's/^"([^"]*:)?shutdown(:[^"]*)?","(([^"\\]|\\.)*)","(([^"\\]|\\.)*)","block".*/\3 (\5)/p' | head -n 1
}

# $1 the system, $2 the start of the machine.
order() {
	if [ "$(boot_id)" != "$2" ]; then
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
	keeper=$(keeps_it_up)
	if [ -n "$keeper" ]; then
		echo "a program keeps it from going down: $keeper; end that first" >&2
		exit 1
	fi
	# The answer travels before the network goes.
	systemd-run --quiet --collect --unit=nixdash-reboot --on-active=1s --timer-property=AccuracySec=100ms \
		systemctl reboot >&2 9>&- || systemctl --no-block reboot >&2 || exit 1
	echo restarting
}

main() {
	case $1 in
	look) look "$2" "$3" ;;
	order) order "$2" "$3" ;;
	esac
}

main "$@"
