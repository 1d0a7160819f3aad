#!/bin/sh
# Makes a root for a path that is not there yet, as root: when it comes, nothing takes it. $1 the path, $2 the
# root.
mkdir -p "${2%/*}" && ln -sfn "$1" "$2"
