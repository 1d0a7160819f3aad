# shellcheck shell=sh
# Whether a unit is there, and which one holds a host's lock. Put before the scripts that need it when nixdash is compiled.

# Tells whether a unit runs, or is being ended. $1 its name. A systemd that does not answer (it is
# executed again by many an activation) says nothing of the unit: then it counts as there.
is_there() {
	[ -n "$1" ] || return 1
	state=$(systemctl show --property=ActiveState --value "$1" 2>/dev/null) || return 0
	case $state in
	inactive | failed | '') return 1 ;;
	*) return 0 ;;
	esac
}

# Prints the unit that a note of who holds a host's lock names. $1 the note.
unit_of() {
	case $1 in
	*unit=*)
		named_unit=${1##*unit=}
		printf '%s\n' "${named_unit%%[[:space:]]*}"
		;;
	esac
}

# Prints those of some jobs whose units are not there, in the sense of `is_there`; one question tells of all.
# $@ the jobs' names.
gone() {
	[ "$#" -gt 0 ] || return 0
	for job; do
		shift
		set -- "$@" "nixdash-$job.service"
	done
	states=$(systemctl show --property=Id --property=ActiveState "$@" 2>/dev/null) || return 0
	id='' state=''
	printf '%s\n\n' "$states" | while IFS='=' read -r property value; do
		case $property in
		Id) id=$value ;;
		ActiveState) state=$value ;;
		'')
			case $state in
			inactive | failed)
				id=${id#nixdash-}
				printf '%s\n' "${id%.service}"
				;;
			esac
			id='' state=''
			;;
		esac
	done
}
