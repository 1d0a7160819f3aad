#!/bin/sh
# Makes a signed copy of systems and all they refer to, as files, for the bucket of the practice fleet's cluster.
# usage: weed.sh TOPLEVEL…      /mnt/weed/copy gets the files, /mnt/weed/p620.secret signs
set -eu
export USER=root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export NIX_CONFIG='extra-experimental-features = nix-command
build-users-group =
substituters ='
copy=/mnt/weed/copy

mkdir -p "$copy"
nix copy --to "file://$copy?secret-key=/mnt/weed/p620.secret&compression=zstd" "$@"
printf 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 45\n' >"$copy/nix-cache-info"
rm -rf /root/.cache
