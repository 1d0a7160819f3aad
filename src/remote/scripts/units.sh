# shellcheck shell=sh
# Whether a unit is there. Put before the scripts that need it when nixdash is compiled.

# Tells whether a unit runs, or is being ended. $1 its name. A systemd that does not answer (it is
# executed anew by many an activation) says nothing of the unit: then it counts as there.
is_there() {
	[ -n "$1" ] || return 1
	state=$(systemctl show --property=ActiveState --value "$1" 2>/dev/null) || return 0
	case $state in
	inactive | failed | '') return 1 ;;
	*) return 0 ;;
	esac
}

