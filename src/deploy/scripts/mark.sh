#!/bin/sh
# Remembers how a system does that was started by a restart, as root, as the supervisor remembers it of one that it
# activated. `supervise-remember.sh` is put before it when nixdash is compiled. $1 the system, $2 failed or well,
# $3 who looked, in the words of the supervisor's option `owner`.
main() {
	root=''
	# shellcheck disable=SC2034 # for the file before it
	owner=$3 intents=$root/nix/var/nixdash
	# Whoever deploys to the host now may write it too.
	mkdir -p "$root/run/nixdash" "$intents" && chmod 700 "$root/run/nixdash" &&
		exec 9>>"$root/run/nixdash/lock" && flock -w 10 9 || exit 1
	case $2 in
	failed) mark_system "$1" failed ;;
	well) mark_system "$1" '' ;;
	esac
}

main "$@"
