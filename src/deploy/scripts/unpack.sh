#!/bin/sh
# Unpacks the flake's source (a tar archive on standard input) into a fresh folder of the login
# user and prints the folder. Sources that older runs left are removed.
base=${XDG_CACHE_HOME:-$HOME/.cache}/nixdash
mkdir -p "$base"
find "$base" -mindepth 1 -maxdepth 1 -name 'source-*' -mmin +120 -exec rm -rf {} +
dir=$(mktemp -d "$base/source-XXXXXX") || exit 1
tar -xf - -C "$dir" || exit 1
printf '%s\n' "$dir"
