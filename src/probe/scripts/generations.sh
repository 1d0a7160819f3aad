# Prints the generations of a host's system profile: `generation<TAB>number<TAB>seconds<TAB>path` for
# each, below it what is known of it, one `key<TAB>value` per line, and at last what runs, what was
# booted and what boots next. `says.sh`, `host-facts.sh` and `deploys.sh` are put before it when nixdash is compiled.
# Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

# shellcheck disable=SC2034 # for the files before it
root=
profiles=/nix/var/nix/profiles

# Prints the kernel of a system, as `nixos-rebuild list-generations` does. $1 the system.
kernel_of() {
	for folder in "$1"/kernel-modules/lib/modules/*; do
		if [ -d "$folder" ]; then
			printf '%s' "${folder##*/}"
			return
		fi
	done
}

# Prints the revision of the configuration that a system was made from: as this host remembers it of a deploy, else
# as the system itself says it; nothing where neither is known. $1 the system.
revision_of() {
	remember_built "$1" ''
	if [ -n "$built" ]; then
		printf '%s\n' "${built%%	*}"
		return
	fi
	[ -x "$1/sw/bin/nixos-version" ] || return 0
	timeout -s KILL 2 "$1/sw/bin/nixos-version" --configuration-revision 2>/dev/null </dev/null
}

set --
for link in "$profiles"/system-*-link; do
	[ -L "$link" ] || continue
	number=${link##*/system-}
	number=${number%-link}
	path=$(readlink -e "$link") || continue
	printf 'generation\t%s\t%s\t%s\n' "$number" "$(stat -c %Y "$link")" "$path"
	say nixos_version "$(first_line "$path/nixos-version")"
	say kernel "$(kernel_of "$path")"
	say revision "$(revision_of "$path" | head -n 1)"
	say mark "$(mark_of "$path")"
	for one in "$path"/specialisation/*; do
		if [ -e "$one" ]; then printf 'specialisation\t%s\t%s\n' "${one##*/}" "$(readlink -f "$one")"; fi
	done
	set -- "$@" "$path"
done
# The sizes of all closures by one question.
if [ "$#" -gt 0 ]; then
	timeout -s KILL 60 nix --extra-experimental-features 'nix-command flakes' \
		path-info --closure-size "$@" 2>/dev/null |
		awk '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { print "size\t" $1 "\t" $NF }'
fi
say running "$(readlink -f /run/current-system)"
say booted "$(readlink -f /run/booted-system)"
say profile "$(readlink "$profiles/system")"
say next_boot "$(next_boot 2>/dev/null)"
say end ok
