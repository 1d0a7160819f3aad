#!/bin/sh
# Prints the systems that this host builds for, one per line, as the login user: its own, and those
# that it emulates or runs as they are.
show() {
	nix --extra-experimental-features nix-command config show "$1" 2>/dev/null && return
	nix --extra-experimental-features nix-command show-config 2>/dev/null | sed -n "s/^$1 = //p"
}

{
	show system
	show extra-platforms
} | tr ' ' '\n' | sed '/^$/d'
