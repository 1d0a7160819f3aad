#!/bin/sh
# Prints what differs between two systems, as the login user. $1 the old one, $2 the new one.
nix --extra-experimental-features nix-command store diff-closures "$1" "$2"
