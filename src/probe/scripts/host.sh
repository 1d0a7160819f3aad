# Prints what a host says of itself, one `key<TAB>value` per line; what it cannot say is left out.
# Arguments: none. Runs as the login user and changes nothing. Few processes: it runs every 5 s.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

say() {
	if [ -n "$2" ]; then printf '%s\t%s\n' "$1" "$2"; fi
}

# Prints a small file's first line.
first_line() {
	if [ -r "$1" ]; then
		IFS= read -r line <"$1" 2>/dev/null || [ -n "$line" ] || return 0
		printf '%s' "$line"
	fi
}

# Runs a program that may hang: two seconds are enough for what runs every five, and without an
# answer the rest of the facts stand.
limited() {
	if command -v timeout >/dev/null 2>&1; then
		timeout -s KILL 2 "$@" 2>/dev/null
	else
		"$@" 2>/dev/null
	fi
}

# What answers before the disk is unlocked is an initrd: systemd's has a file that says so, the
# older one runs from the kernel's own memory and has no system.
root_kind=
if [ -r /proc/mounts ]; then
	while read -r _ place kind _; do
		if [ "$place" = / ]; then root_kind=$kind; fi
	done </proc/mounts
fi
if [ -e /etc/initrd-release ]; then
	say initrd true
elif [ ! -e /run/current-system ]; then
	case "$root_kind" in rootfs | ramfs) say initrd true ;; esac
fi

say user "$(id -un 2>/dev/null)"
say running "$(readlink -f /run/current-system 2>/dev/null)"
say booted "$(readlink -f /run/booted-system 2>/dev/null)"
say generation "$(readlink /nix/var/nix/profiles/system 2>/dev/null)"
say profile "$(readlink -f /nix/var/nix/profiles/system 2>/dev/null)"
say nixos_version "$(first_line /run/current-system/nixos-version)"
say boot_id "$(first_line /proc/sys/kernel/random/boot_id)"

# A reboot is needed when the running system has another kernel, initrd or modules than the booted
# one. A container has none of them and needs none.
parts_of() {
	readlink -e "$1/kernel" "$1/initrd" "$1/kernel-modules" 2>/dev/null
}
booted=$(parts_of /run/booted-system)
if [ -n "$booted" ]; then
	if [ "$booted" = "$(parts_of /run/current-system)" ]; then
		say reboot_needed false
	else
		say reboot_needed true
	fi
fi

# NixOS names the version in the path of the program; elsewhere Nix is asked.
program=$(command -v nix) && program=$(readlink -f "$program")
case "$program" in
	/nix/store/*-nix-[0-9]*/bin/*)
		version=${program%/bin/*}
		say nix_version "${version##*-nix-}"
		;;
	?*) say nix_version "$(limited nix --version)" ;;
esac

if [ -r /proc/loadavg ]; then
	read -r load rest </proc/loadavg
	say load1 "$load"
fi
say cpus "$(nproc 2>/dev/null)"

if [ -r /proc/meminfo ]; then
	total='' available=''
	while read -r key value rest; do
		case "$key" in
			MemTotal:) total=$value ;;
			MemAvailable:)
				available=$value
				break
				;;
		esac
	done </proc/meminfo
	if [ -n "$total" ] && [ -n "$available" ]; then
		say memory_kib "$((total - available)) $total"
	fi
fi

# Used, and what is left for anybody but root: a reserve for root helps no build.
limited df -kP /nix/store | {
	read -r _
	# shellcheck disable=SC2034 # the fields before and between have to be read to get at the others
	if read -r device blocks used left rest; then
		say disk_kib "$used $((used + left))"
	fi
}

# The age of process 1, so that a container says its own uptime and not that of its machine.
if [ -r /proc/uptime ] && [ -r /proc/1/stat ]; then
	read -r up rest </proc/uptime
	IFS= read -r stat </proc/1/stat
	# shellcheck disable=SC2086 # the fields after the command's name are to be split
	set -- ${stat##*) }
	started=${20}
	say uptime_s "$((${up%%.*} - started / 100))"
fi

# One question to systemd where all is well, a second one where something failed.
state=$(limited systemctl show --property=SystemState --property=NFailedUnits)
code=$?
if [ "$code" = 137 ] || [ "$code" = 124 ]; then
	say system_state "no answer"
elif [ "$code" = 0 ]; then
	failed=
	for pair in $state; do
		case "$pair" in
			SystemState=*) say system_state "${pair#*=}" ;;
			NFailedUnits=*) failed=${pair#*=} ;;
		esac
	done
	if [ -n "$failed" ]; then
		say failed_count "$failed"
		if [ "$failed" != 0 ]; then
			limited systemctl list-units --state=failed --plain --no-legend --no-pager |
				while read -r unit rest; do
					say failed_unit "$unit"
				done
		fi
	fi
fi

# Mains and batteries; a mouse or a headset has the scope Device.
for supply in /sys/class/power_supply/*; do
	[ -r "$supply/type" ] || continue
	[ "$(first_line "$supply/scope")" = Device ] && continue
	case "$(first_line "$supply/type")" in
		Mains | USB*) say mains "$(first_line "$supply/online")" ;;
		Battery)
			say battery "$(first_line "$supply/capacity")"
			say battery_status "$(first_line "$supply/status")"
			;;
	esac
done

say end ok
