#!/bin/sh
# Keeps a derivation from the garbage collector until it is built, and asks what realising it would take, as
# root on the host that builds; Nix answers on standard error. A system that is there already is kept too, and
# nothing is asked then.
#
# $1 the derivation, $2 the system that it builds, $3 the root of that; the root of the derivation is called the
# same with `.drv` behind it. $4 the revision that it is built from, where that is known, $5 the flake and $6
# who builds it: remembered for whoever deploys it later. $7 and $8, where no cache is asked, are the stores to
# take paths from instead and the options of ssh to them.
#
# Prints the bytes that are free below /nix; `invalid` where the derivation is not in the store; `unrooted` and
# why, with a tab between, where it could not be kept; `rooted` where the system is there and kept.

# Remembers what a system is built from; that this cannot be done is no failure. $1 the system, then the
# revision, the flake and who builds it.
remember() {
	notes=/nix/var/nixdash/built-from
	mkdir -p "$notes" &&
		printf '%s\t%s\t%s\t%s\n' "$2" "${3:-unknown}" "${4:-unknown}" "$(date +%s)" >"$notes/.${1##*/}" &&
		mv "$notes/.${1##*/}" "$notes/${1##*/}"
}

# Makes the root of a derivation. $1 the derivation, $2 its root.
root_derivation() {
	[ -d "${2%/*}" ] || mkdir -p "${2%/*}" || return
	ln -sfn "$1" "$2"
}

# Makes the root of a system that is there; fails where it is not. $1 the system, $2 its root.
root_system() {
	[ -e "$1" ] && ln -sfn "$1" "$2" || return
	# Looked at with the root in place: a collector that runs now keeps it from here on.
	nix-store --check-validity "$1" 2>/dev/null && return
	rm -f "$2"
	return 1
}

main() {
	df -P -B1 /nix/store | awk 'NR == 2 { print $4 }'
	drv=$1 system=$2 root=$3
	# Without its file it is not valid, and Nix would look for it in caches.
	if [ ! -e "$drv" ]; then
		echo invalid
		return
	fi
	if why=$(root_derivation "$drv" "$root.drv" 2>&1); then
		[ -z "$4" ] || remember "$system" "$4" "$5" "$6"
		if root_system "$system" "$root"; then
			echo rooted
			return
		fi
	else
		printf 'unrooted\t%s\n' "$why"
	fi
	if [ "$#" = 8 ]; then
		# Not through the daemon, which has its own settings of ssh.
		export NIX_REMOTE=local NIX_SSHOPTS="$8"
		set -- --option substituters "$7" --option extra-substituters ''
	else
		set --
	fi
	{
		said=$(nix-store --realise --dry-run "$drv" "$@" 2>&1 >&3)
		code=$?
	} 3>&1
	printf '%s\n' "$said" >&2
	# A file may be left of a derivation that is not valid any more, and Nix does not know how to build that.
	case $code,$said in
	0,*"don't know how to build"* | [!0]*) nix-store --check-validity "$drv" 2>/dev/null || echo invalid ;;
	esac
	return "$code"
}

main "$@"
