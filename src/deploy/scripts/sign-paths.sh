#!/bin/sh
# Signs paths, as root on the host that has them. $1 a file with the secret key; paths are on standard input, one
# per line.
exec xargs -r nix --extra-experimental-features nix-command store sign --key-file "$1"
