# shellcheck shell=sh
# shellcheck disable=SC2154 # `root` is set by the script that this is put before.
# What is known on a host of deploys: what its system was built from, and which tools deploy to it by
# themselves. Put before the scripts that need it when nixdash is compiled. No processes: it may run often.

# Sets `built` to what this host remembers that a system was built from, `REVISION<TAB>FLAKE<TAB>WHO<TAB>SECONDS`;
# to nothing where it does not. $1 the system, $2 the system that it is a specialisation of, or nothing.
remember_built() {
	built=''
	[ -r "$root/nix/var/nixdash/deployed" ] || return 0
	while IFS='	' read -r built_system built_rest; do
		case $built_system in
		'') ;;
		"$1" | "$2") built=$built_rest ;;
		esac
	done <"$root/nix/var/nixdash/deployed"
}

# Prints what this host remembers of a system that did not do well: `WORD<TAB>RUN<TAB>WHO<TAB>SECONDS`, where the
# word is `withdrawn` (a run took it back) or `failed`. $1 the system.
mark_of() {
	[ -r "$root/nix/var/nixdash/marked" ] || return 0
	while IFS='	' read -r marked_system marked_rest; do
		if [ "$marked_system" = "$1" ]; then printf '%s\n' "$marked_rest"; fi
	done <"$root/nix/var/nixdash/marked"
}

# Prints what the running system was built from, as `REVISION<TAB>FLAKE<TAB>WHO<TAB>SECONDS` or the
# revision alone; nothing where that is not known. $1 what runs, $2 the system that it is a
# specialisation of, or nothing.
built_from() {
	remember_built "$1" "$2"
	if [ -n "$built" ]; then
		printf '%s\n' "$built"
		return
	fi
	# NixOS says so itself where the configuration names it (system.configurationRevision).
	[ -r "$root/run/current-system/sw/bin/nixos-version" ] || return 0
	while IFS= read -r version_line; do
		case $version_line in
		*'"configurationRevision":"'*)
			built=${version_line#*'"configurationRevision":"'}
			printf '%s\n' "${built%%'"'*}"
			return
			;;
		esac
	done <"$root/run/current-system/sw/bin/nixos-version"
}

# Prints the units of tools that deploy to this host by themselves, where they are enabled.
deployers() {
	for wanted in timers.target.wants/nixos-upgrade.timer multi-user.target.wants/comin.service \
		multi-user.target.wants/cachix-agent.service multi-user.target.wants/nixfleet-agent.service \
		timers.target.wants/bento-upgrade.timer timers.target.wants/nixos-autodeploy.timer; do
		if [ -e "$root/etc/systemd/system/$wanted" ]; then printf '%s\n' "${wanted##*/}"; fi
	done
}

