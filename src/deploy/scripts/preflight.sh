#!/bin/sh
# Looks at a target before anything is done to it, as root. Prints key<TAB>value lines. Changes
# nothing but removing roots of a supervisor that is gone. `units.sh`, `specialisations.sh`, `deploys.sh`, `parts.sh`,
# `power.sh` and `failed-units.sh` are put before it when nixdash is compiled. $1 settings, to print the effective settings
# of its Nix too, between two marks.
say() { printf '%s\t%s\n' "$1" "$2"; }

# Says who deploys now: the lock is held, or its unit is still there.
look_at_the_lock() {
	[ -d /run/nixdash ] || mkdir -p /run/nixdash
	# The folder becomes 700, and the file 600.
	(umask 077 && : >>/run/nixdash/lock) && chmod u=rwX,go= /run/nixdash /run/nixdash/lock
	owner=''
	if [ -e /run/nixdash/owner ]; then owner=$(cat /run/nixdash/owner 2>/dev/null); fi
	unit=$(unit_of "$owner")
	exec 9>>/run/nixdash/lock
	# Another look holds it for a moment.
	if flock -w 2 9 && ! is_there "$unit"; then
		rm -f /nix/var/nix/gcroots/nixdash/before-* /run/nixdash/owner
		if [ -e /nix/var/nixdash/intent ]; then say intent "$(head -n 1 /nix/var/nixdash/intent | cut -f 1)"; fi
	else
		# Who took it just now had not written a name yet when that was read.
		[ -n "$owner" ] || owner=$(cat /run/nixdash/owner 2>/dev/null)
		dir=$(printf '%s' "$owner" | sed -n 's/.*dir=\([^ ]*\).*/\1/p')
		heard=$(stat -c %Y "$dir/heard" 2>/dev/null)
		say locked "$owner now=$(date +%s) heard=${heard:-0}"
	fi
	exec 9>&-
}

# Says which systems were confirmed here: those of the newest generations, without those that did not do well.
say_confirmed() {
	set -- /nix/var/nix/profiles/system-[0-9]*-link
	[ -L "$1" ] || return 0
	printf '%s\n' "$@" | sort -rV | head -n 5 | xargs readlink -f |
		while read -r system; do
			if [ -z "$(mark_of "$system")" ]; then say confirmed "$system"; fi
		done
}

# Says how many bytes are free at some places. $1 what the places are called, $2 … the places.
say_free() {
	names=$1
	shift
	df -P -B1 "$@" 2>/dev/null | awk -v names="$names" '
		BEGIN { split(names, name, " ") }
		NR > 1 { printf "%s_free\t%s\n", name[NR - 1], $4 }'
}

# Prints the version of Nix and, where they are asked for, its effective settings behind a line that says so.
# $1 settings or nothing.
nix_says() {
	printf '%s\n' "$(nix --version 2>/dev/null)"
	[ "$1" = settings ] || return 0
	printf '%s\n' '--- settings'
	nix --extra-experimental-features nix-command config show 2>/dev/null ||
		nix --extra-experimental-features nix-command show-config 2>/dev/null
}

look() {
	# shellcheck disable=SC2034 # for the files before it
	root=''
	say time "$(date +%s)"
	running=$(readlink -f /run/current-system)
	say running "$running"
	special=$(running_specialisation "$running")
	if [ -n "$special" ]; then say specialisation "$special"; fi
	built=$(built_from "$running" "${special%%	*}")
	if [ -n "$built" ]; then say built_from "$built"; fi
	deployers | while read -r unit; do say deployer "$unit"; done
	booted=$(readlink -f /run/booted-system)
	say booted "$booted"
	case $booted in
	/nix/store/*) print_parts part "$booted" ;;
	*) print_parts part "$running" ;;
	esac
	say profile "$(readlink -f /nix/var/nix/profiles/system)"
	say_confirmed
	if [ ! -e /run/current-system ]; then
		say os "$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release 2>/dev/null)"
		# What switch-to-configuration wants to see before it does anything.
		if [ -e /etc/NIXOS ] || grep -qi '^ID="\{0,1\}nixos' /etc/os-release 2>/dev/null; then say marked yes; fi
	fi
	IFS= read -r boot_id </proc/sys/kernel/random/boot_id
	say boot_id "$boot_id"
	for place in /nix/store /nix/var/nix/db; do
		# The store is mounted read-only for all but Nix: what counts is the file system itself.
		case ",$(findmnt -nro FS-OPTIONS --target "$place" 2>/dev/null)," in
		*,ro,*) say read_only "$place" ;;
		esac
	done
	names=run
	set -- /run
	if [ -d /nix/store ]; then names="$names nix" && set -- "$@" /nix/store; fi
	if mountpoint -q /boot 2>/dev/null; then names="$names boot" && set -- "$@" /boot; fi
	say_free "$names" "$@"
	say_failed_units asked_failed_units
	say_power
	if [ -r /nix/var/nixdash/built-on ]; then say built_on "$(cat /nix/var/nixdash/built-on)"; fi
	look_at_the_lock
}

main() {
	# Nix begins while the rest is looked at.
	nix_says "$1" | {
		look </dev/null
		IFS= read -r version
		say nix "$version"
		cat
	}
}

main "$@"
