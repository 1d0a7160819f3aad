#!/bin/sh
# Removes what a run left on a host, as root: the folders of jobs that have ended (their logs were
# read to the end) and roots that it made. $1 what the run's jobs and roots are called. The root of a build that was not confirmed becomes the host's next one; a derivation's goes.
is_there() {
	case $(systemctl show --property=ActiveState --value "nixdash-$1" 2>/dev/null) in
	active | activating | deactivating | reloading) return 0 ;;
	*) return 1 ;;
	esac
}

main() {
	roots=/nix/var/nix/gcroots/nixdash
	tag=$1
	for job in /run/nixdash/jobs/"$tag"-* /var/lib/nixdash/jobs/"$tag"-*; do
		name=${job##*/}
		name=${name%.log}
		is_there "$name" || rm -rf "$job"
	done
	rm -f "$roots"/*."$tag".drv
	for root in "$roots"/*."$tag"; do
		case $root in
		"$roots/fetched."*) kept=$roots/fetched ;;
		*) kept=${root%."$tag"}.next ;;
		esac
		[ ! -L "$root" ] || mv -T "$root" "$kept"
	done
	# What other runs left behind: a power cut, or a machine that never came back to it.
	find "$roots" -maxdepth 1 -type l -name '*.run-*' -mmin +1440 -exec rm -f {} +
}

main "$@"
