# Prints what seldom changes on a host, one `key<TAB>value` per line; what it cannot say is left
# out. `says.sh`, `host-facts.sh`, `specialisations.sh` and `deploys.sh` are put before it when
# nixdash is compiled. Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

# shellcheck disable=SC2034 # for `host-facts.sh`
root=

# Roots that are shown at most: the oldest.
most=20

# Prints `TIME<TAB>LINK` of roots that somebody made and that may be forgotten: results of builds,
# and what runs of nixdash left. What a host runs or boots has other roots.
roots() {
	tab=$(printf '\t')
	for folder in auto nixdash; do
		[ -d "/nix/var/nix/gcroots/$folder" ] || continue
		timeout -s KILL 5 find "/nix/var/nix/gcroots/$folder" -maxdepth 1 -type l \
			-printf '%T@\t%p\t%l\n' 2>/dev/null
	done | sort -n | {
		count=0
		while [ "$count" -lt "$most" ] && IFS=$tab read -r time link target; do
			case "$link" in
			# The link that a person made, which the root only points to. Without it there is no root.
			*/gcroots/auto/*)
				case "$target" in
				# Generations of profiles come and go by themselves.
				/nix/var/nix/profiles/* | */.local/state/nix/profiles/* | */nix/profiles/*) continue ;;
				esac
				[ -L "$target" ] || continue
				link=$target
				;;
			*/gcroots/nixdash/*.next | */gcroots/nixdash/*.run-*) ;;
			*) continue ;;
			esac
			count=$((count + 1))
			printf '%s\t%s\n' "${time%%.*}" "$link"
		done
	}
}

# Tells whether the system is switched at this moment: by whoever holds the lock of
# switch-to-configuration (which is not tried, since that would take it), or by a supervisor of nixdash,
# which makes permanent what it activated some seconds before.
is_switched() {
	if inode=$(stat -c %i /run/nixos/switch-to-configuration.lock 2>/dev/null) && grep -q ":$inode " /proc/locks 2>/dev/null; then
		return 0
	fi
	[ -n "$(limited systemctl list-units --plain --no-legend --no-pager --state=active,activating,deactivating 'nixdash-*-activate-*')" ]
}

# Before anything else is read: what follows may change while it is.
if is_switched; then say switching true; fi

# What starts next, and what pins it.
say next_boot "$(next_boot 2>/dev/null)"
running=$(readlink -f /run/current-system 2>/dev/null)
special=$(running_specialisation "$running")
say specialisation "$special"
say built_from "$(built_from "$running" "${special%%	*}")"
deployers | while read -r unit; do say deployer "$unit"; done
# Which generations are what runs now: no process for each of them.
for link in /nix/var/nix/profiles/system-*-link; do
	# shellcheck disable=SC3013 # every sh that NixOS has had knows it
	if [ "$link" -ef /run/current-system ] || [ "$link" -ef "${special%%	*}" ]; then say runs_generation "${link##*/}"; fi
done
roots | while read -r root_line; do say root "$root_line"; done
say end ok
