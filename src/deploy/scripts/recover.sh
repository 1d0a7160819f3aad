#!/bin/sh
# Puts right what a power cut left between setting the profile and writing the boot menu, as root.
# `specialisations.sh` is put before it when nixdash is compiled. $1 is the folder below which the host
# lies: empty, but in tests. Does nothing while somebody deploys. Prints what it did, in words.
main() {
	root=$1
	profiles=$root/nix/var/nix/profiles
	intents=$root/nix/var/nixdash
	# A restart took the folder away.
	if ! mkdir -p "$root/run/nixdash" || ! chmod 700 "$root/run/nixdash"; then exit 1; fi
	exec 9>>"$root/run/nixdash/lock"
	# What a supervisor that was killed just now had started may hold it for a moment more.
	flock -w 5 9 || exit 0
	[ -r "$intents/intent" ] || exit 0
	{
		IFS='	' read -r begun generation profile toplevel
		# The system that was to run. An older supervisor wrote no such line.
		IFS='	' read -r _ runs || runs=''
	} <"$intents/intent"
	running=$(readlink -f "$root/run/current-system")
	set_path=$(readlink -e "$profiles/system")
	if [ "$set_path" != "$toplevel" ]; then
		# The boot menu may have been written already, where the disk lost what came before it.
		if [ "$begun" = boot ]; then write_boot_menu "${set_path:-none}" || exit 1; fi
		rm -f "$intents/intent"
		echo "a deploy of $toplevel was cut off before it set the profile; nothing of that deploy is left"
	elif [ "$running" = "$toplevel" ] || name_of_specialisation "$toplevel" "$running" >/dev/null; then
		finish "the host runs $toplevel and boots it"
	elif [ -n "$runs" ] && [ "$running" = "$runs" ]; then
		# It went back to a system that had only been tried, and boots what it booted before.
		finish "the host runs $runs and boots $toplevel"
	elif [ "$profile" = none ]; then
		rm -f "$profiles/system" "$intents/intent"
		echo "the first deploy, of $toplevel, was cut off while it was made permanent; the system profile was removed again, and the boot menu is as the power cut left it"
	else
		put_profile_back || exit 1
		if [ "$begun" = boot ]; then write_boot_menu "$profile" || exit 1; fi
		rm -f "$intents/intent"
		echo "a deploy of $toplevel was cut off while it was made permanent; the profile is $profile again"
	fi
}

# Makes the system permanent after all. $1 how the host stands then, in words.
finish() {
	write_boot_menu "$toplevel" || exit 1
	rm -f "$intents/intent"
	echo "an earlier deploy was cut off while its system was made permanent; $1"
}

# $1 the system that shall boot; `none` where there was none before a first deploy.
write_boot_menu() {
	[ "$1" != none ] || return 0
	# A unit of its own: it goes on when the connection breaks, and nothing that it prints can fail.
	systemd-run --quiet --wait --collect --unit=nixdash-recover --setenv=NIXOS_NO_CHECK=1 \
		--setenv=PATH="$PATH" "$1/bin/switch-to-configuration" boot 9>&- >&2 && return 0
	echo "switch-to-configuration boot of $1 failed; run it by hand" >&2
	return 1
}

put_profile_back() {
	number=${generation#system-}
	number=${number%-link}
	case $number in
	'' | *[!0-9]*) timeout -k 15 120 nix-env --profile "$profiles/system" --set "$profile" >&2 ;;
	*) timeout -k 15 120 nix-env --profile "$profiles/system" --switch-generation "$number" >&2 ;;
	esac && return 0
	echo "the profile could not be set back to $generation; run nix-env --switch-generation by hand" >&2
	return 1
}

main "$@"
