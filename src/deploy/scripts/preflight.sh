#!/bin/sh
# Looks at a target before anything is done to it, as root. Prints key<TAB>value lines.
# Changes nothing but removing jobs of nixdash that ended more than a week ago.
say() { printf '%s\t%s\n' "$1" "$2"; }

say running "$(readlink -f /run/current-system)"
say booted "$(readlink -f /run/booted-system)"
say profile "$(readlink -f /nix/var/nix/profiles/system)"
say boot_id "$(cat /proc/sys/kernel/random/boot_id)"
say nix "$(nix --version 2>/dev/null)"
say nix_free "$(df -P -B1 /nix/store | awk 'NR == 2 { print $4 }')"
if mountpoint -q /boot 2>/dev/null; then
	say boot_free "$(df -P -B1 /boot | awk 'NR == 2 { print $4 }')"
fi
systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null |
	while read -r unit _; do say failed "$unit"; done
for supply in /sys/class/power_supply/*; do
	[ -r "$supply/type" ] || continue
	[ "$(cat "$supply/scope" 2>/dev/null)" = Device ] && continue
	case $(cat "$supply/type") in
	Mains) say mains "$(cat "$supply/online" 2>/dev/null)" ;;
	Battery) say battery "$(cat "$supply/capacity" 2>/dev/null)" ;;
	esac
done
mkdir -p /run/nixdash
if ! flock -n /run/nixdash/lock true; then
	say locked "$(cat /run/nixdash/owner 2>/dev/null)"
fi
if [ -d /var/lib/nixdash/jobs ]; then
	find /var/lib/nixdash/jobs -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
fi
