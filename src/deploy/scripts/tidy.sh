#!/bin/sh
# Removes what a run left on a host, as root: the folders of jobs that have ended (their logs were
# read to the end) and roots that it made. $1 what the run's roots are called, the rest the names of
# jobs. The root of a build that was not confirmed becomes the host's next one; a derivation's goes.
is_there() {
	case $(systemctl show --property=ActiveState --value "nixdash-$1" 2>/dev/null) in
	active | activating | deactivating | reloading) return 0 ;;
	*) return 1 ;;
	esac
}

main() {
	tag=$1
	shift
	for job; do
		case $job in
		'' | */* | .*) continue ;;
		esac
		is_there "$job" || rm -rf "/run/nixdash/jobs/$job" "/var/lib/nixdash/jobs/$job.log"
	done
	rm -f /nix/var/nix/gcroots/nixdash/*."$tag".drv
	for root in /nix/var/nix/gcroots/nixdash/*."$tag"; do
		[ ! -L "$root" ] || mv -T "$root" "${root%."$tag"}.next"
	done
}

main "$@"
