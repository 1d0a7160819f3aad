#!/bin/sh
# Copies a system from the host that builds straight to its target, over ssh. The target checks every
# signature by its own settings; nothing here tells it not to.
#
# $1 the system, $2 the target's store (ssh-ng://user@host), $3 options for ssh, in words that no space is
# in, $4 a file with the secret key to sign with, or nothing; $5 lines of known hosts to take instead of those
# that this host has, or nothing, and $6 the name of the target in them. As a job it runs as root; in a session,
# with the agent of the operator, as the login user. Everything that Nix says is on standard output.
# `without-repeats.sh` is put before it when nixdash is compiled.

nix_() { nix --extra-experimental-features nix-command "$@"; }

main() {
	exec 2>&1
	if [ -n "$4" ] && ! nix_ store sign --recursive --key-file "$4" "$1"; then
		echo "error: what was built could not be signed with the key in $4"
		exit 1
	fi
	NIX_SSHOPTS=$3
	if [ -n "$5" ]; then
		known=$(mktemp) || exit 1
		trap 'rm -f "$known"' EXIT
		printf '%s' "$5" >"$known"
		NIX_SSHOPTS="$3 -o UserKnownHostsFile=$known -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=$6"
	fi
	export NIX_SSHOPTS
	without_repeats nix_ copy --log-format internal-json -v --to "$2" "$1"
}

main "$@"
