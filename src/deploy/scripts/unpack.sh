#!/bin/sh
# Unpacks the flake's source (a tar archive on standard input) into a fresh folder of the login
# user and prints the folder. Inputs of the flake that came along go into the store, where Nix finds
# what is locked. Sources that older runs left are removed.
base=${XDG_CACHE_HOME:-$HOME/.cache}/nixdash
mkdir -p "$base"
find "$base" -mindepth 1 -maxdepth 1 -name 'source-*' -mmin +120 -exec rm -rf {} +
dir=$(mktemp -d "$base/source-XXXXXX") || exit 1
tar -xf - --no-same-owner -C "$dir" || exit 1
for input in "$dir"/inputs/*/source; do
	[ -d "$input" ] || continue
	nix-store --add-fixed --recursive sha256 "$input" >/dev/null || exit 1
done
rm -rf "$dir/inputs"
printf '%s\n' "$dir"
