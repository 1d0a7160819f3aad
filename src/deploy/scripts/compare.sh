#!/bin/sh
# Asks what realising a derivation ($1) would take, as the login user; Nix answers on standard error. $2 and
# $3, where no cache is asked, are the stores to take paths from instead and the options of ssh to them; then
# it runs as root. Prints the bytes that are free below /nix, and `invalid` where the derivation is not in the
# store.
main() {
	df -P -B1 /nix/store | awk 'NR == 2 { print $4 }'
	drv=$1
	# Without its file it is not valid, and Nix would look for it in caches.
	if [ ! -e "$drv" ]; then
		echo invalid
		return
	fi
	if [ "$#" = 3 ]; then
		# Not through the daemon, which has its own settings of ssh.
		export NIX_REMOTE=local NIX_SSHOPTS="$3"
		set -- "$1" --option substituters "$2" --option extra-substituters ''
	fi
	{
		said=$(nix-store --realise --dry-run "$@" 2>&1 >&3)
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
