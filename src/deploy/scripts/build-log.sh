#!/bin/sh
# Prints the end of the log of a derivation, as root on the host that was to build it: from its own store, from
# the machine that it gave the build to, else from a cache. $1 the derivation, $2 that machine's store or
# nothing, $3 further caches to ask, $4 how many bytes at most. Before the log stands where it comes from.
main() {
	drv=$1 machine=$2 caches=$3 most=$4
	log=$(mktemp) || exit 1
	trap 'rm -f "$log"' EXIT
	export PAGER=cat
	found here nix-store --read-log "$drv" && return
	if [ -n "$machine" ]; then
		found machine nix_ log --store "$(with_key "$machine")" "$drv" && return
	fi
	found cache nix_ log --option extra-substituters "$caches" "$drv"
}

nix_() {
	timeout 15 nix --extra-experimental-features nix-command --option connect-timeout 5 \
		--option stalled-download-timeout 5 --option download-attempts 1 "$@"
}

# Prints the log where there is one. $1 where it comes from, then the command that prints it.
found() {
	from=$1
	shift
	"$@" 2>/dev/null </dev/null | tail -c "$most" >"$log"
	[ -s "$log" ] || return 1
	echo "$from"
	cat "$log"
}

# Prints a machine's store with the key that the list of machines names for it.
with_key() {
	key=$(awk -v store="$1" '$1 == store && $3 != "-" { print $3; exit }' /etc/nix/machines 2>/dev/null)
	case $key:$1 in
	:*) echo "$1" ;;
	*:*\?*) echo "$1&ssh-key=$key" ;;
	*) echo "$1?ssh-key=$key" ;;
	esac
}

main "$@"
