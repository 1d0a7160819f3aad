#!/bin/sh
# Prints the systems that this host builds for, one per line, as the login user: its own, those that
# it emulates or runs as they are, and those of other machines that it lets build.
show() {
	nix --extra-experimental-features nix-command config show "$1" 2>/dev/null && return
	nix --extra-experimental-features nix-command show-config 2>/dev/null | sed -n "s/^$1 = //p"
}

# The systems of those machines: the second word of each line, with commas between several.
machines() {
	show builders | tr ';' '\n' | while read -r first rest; do
		case $first in
		@*) if [ -r "${first#@}" ]; then sed 's/#.*//' "${first#@}" | while read -r _ systems _; do echo "$systems"; done; fi ;;
		?*) echo "${rest%% *}" ;;
		esac
	done | tr ',' '\n' | grep -v '^-$'
}

{
	show system
	show extra-platforms
	machines
} | tr ' ' '\n' | sed '/^$/d'
