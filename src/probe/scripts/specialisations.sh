# shellcheck shell=sh
# shellcheck disable=SC2154 # `root` is set by the script that this is put before.
# Which specialisation of which system runs: a system of NixOS links to its specialisations, each of
# which is a whole system of its own. Put before the scripts that need it when nixdash is compiled.

# Prints the name of the specialisation of a system that a path is; fails when it is none of them.
# $1 the system, $2 the path.
name_of_specialisation() {
	for link in "$1"/specialisation/*; do
		if [ -e "$link" ] && [ "$(readlink -f "$link")" = "$2" ]; then
			printf '%s\n' "${link##*/}"
			return 0
		fi
	done
	return 1
}

# Prints the system whose specialisation runs and, after a tab, its name; nothing where an ordinary
# system runs, or the system that it belongs to is no generation any more. $1 what runs.
running_specialisation() {
	[ -n "$1" ] || return 0
	# The newest generations first: what runs is in one of them nearly always.
	for generation_link in "$root/nix/var/nix/profiles/system" "$root/run/booted-system" \
		"$root"/nix/var/nix/profiles/system-*-link; do
		system_path=$(readlink -e "$generation_link") || continue
		[ "$system_path" != "$1" ] || return 0
		[ -d "$system_path/specialisation" ] || continue
		if special=$(name_of_specialisation "$system_path" "$1"); then
			printf '%s\t%s\n' "$system_path" "$special"
			return 0
		fi
	done
}

