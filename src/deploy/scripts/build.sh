#!/bin/sh
# A job on the builder: realises a derivation and roots its output. $1 derivation, $2 root; $3 and $4, where
# no cache is asked, the stores to take paths from instead and the options of ssh to them. `without-repeats.sh`
# and `stuck.sh` are put before it when nixdash is compiled.
main() {
	mkdir -p "${2%/*}"
	drv=$1 root=$2
	shift 2
	if [ "$#" = 2 ]; then
		# Not through the daemon, which has its own settings of ssh.
		export NIX_REMOTE=local NIX_SSHOPTS="$2"
		set -- --option substituters "$1" --option extra-substituters ''
	fi
	without_repeats unstuck nix-store --realise "$drv" --add-root "$root" --log-format internal-json -v "$@"
}

main "$@"
