# Prints what a host says of itself, one `key<TAB>value` per line; what it cannot say is left out.
# `says.sh` and `power.sh` are put before it when nixdash is compiled. Arguments: none. Runs as the login user and
# changes nothing. Few processes: it runs every 5 s.
# shellcheck shell=sh

# Tells whether `ro` is among options.
is_read_only() {
	case ",$1," in *,ro,*) return 0 ;; esac
	return 1
}

# What is mounted where. Of several file systems at one place the last one counts; a path lies on
# the one with the longest name above it.
root_kind='' store_depth=0 state_depth=0 mounts='' automounts=''
if [ -r /proc/self/mountinfo ]; then
	while read -r _ _ _ _ place _ rest; do
		# A separator stands behind fields whose number differs.
		case "$rest" in '- '*) rest=${rest#- } ;; *) rest=${rest#* - } ;; esac
		kind=${rest%% *} of_all=${rest##* }
		if [ "$kind" = autofs ]; then
			automounts="$automounts $place "
			continue
		fi
		case "$place" in
		/boot | /efi | /boot/efi) mounts="$mounts $place " ;;
		/) root_kind=$kind ;;
		esac
		# NixOS mounts the store read-only for everybody but Nix: what counts there is whether the
		# whole file system is.
		case "$place" in
		/ | /nix | /nix/store)
			if [ "${#place}" -ge "$store_depth" ]; then store_depth=${#place} store_options=$of_all; fi
			;;
		esac
		case "$place" in
		/ | /nix | /nix/var | /nix/var/nix | /nix/var/nix/db)
			if [ "${#place}" -ge "$state_depth" ]; then state_depth=${#place} state_options=$of_all; fi
			;;
		esac
	done </proc/self/mountinfo
	if is_read_only "$store_options" || is_read_only "$state_options"; then
		say store_writable false
	else
		say store_writable true
	fi
fi

# What answers before the disk is unlocked is an initrd: systemd's has a file that says so, the
# older one runs from the kernel's own memory and has no system.
if [ -e /etc/initrd-release ]; then
	say initrd true
elif [ ! -e /run/current-system ]; then
	case "$root_kind" in rootfs | ramfs) say initrd true ;; esac
fi

# A machine that is being converted, or is no NixOS at all: what it calls itself.
if [ ! -e /run/current-system ]; then
	other='an unknown system'
	if [ -r /etc/os-release ]; then
		while IFS='=' read -r key value; do
			value=${value#\"}
			if [ "$key" = PRETTY_NAME ]; then other=${value%\"}; fi
		done </etc/os-release
	fi
	say other_system "$other"
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
		for part in kernel initrd kernel-modules; do
			# shellcheck disable=SC3013 # every sh that NixOS has had knows it
			if ! [ "/run/booted-system/$part" -ef "/run/current-system/$part" ]; then
				say reboot_for "${part#kernel-}"
			fi
		done
	fi
fi

# NixOS names the version in the path of the program; elsewhere Nix is asked. Determinate Nix names its own
# version there, which is not Nix's.
program=$(command -v nix) && program=$(readlink -f "$program")
case "$program" in
	/nix/store/*-determinate-nix-*) say nix_version "$(limited nix --version)" ;;
	/nix/store/*-nix-[0-9]*/bin/*)
		version=${program%/bin/*}
		say nix_version "${version##*-nix-}"
		;;
	?*) say nix_version "$(limited nix --version)" ;;
esac

if [ -r /proc/loadavg ]; then
	read -r load load5 rest </proc/loadavg
	say load1 "$load"
	# In a container this is the load of the whole machine, and nproc counts the container's share.
	if ! [ -e /run/systemd/container ]; then say load5 "$load5"; fi
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
	# What ZFS caches it gives back when somebody needs it, down to a least size; the kernel counts
	# that as used.
	if [ -n "$available" ] && ! [ -e /run/systemd/container ] && [ -r /proc/spl/kstat/zfs/arcstats ]; then
		cached=0 least=0
		while read -r key _ value; do
			case "$key" in
			size) cached=$value ;;
			c_min) least=$value ;;
			esac
		done </proc/spl/kstat/zfs/arcstats
		if [ "$cached" -gt "$least" ]; then available=$((available + (cached - least) / 1024)); fi
		if [ "$available" -gt "$total" ]; then available=$total; fi
	fi
	if [ -n "$total" ] && [ -n "$available" ]; then
		say memory_kib "$((total - available)) $total"
	fi
fi

# Prints how full file systems are: bytes used and those plus what is left for anybody but root (a
# reserve for root helps no build), then files used and in all. A file system without a limit of
# files says 0.
room() {
	limited stat -f -c '%n %S %b %f %a %c %d' "$@" |
		while read -r place size blocks unused left files files_left; do
			used=$(((blocks - unused) * size))
			name=${place#/}
			case "$place" in
			/nix/store)
				name=disk
				say files "$((files - files_left)) $files"
				;;
			/efi | /boot/efi) name=boot ;;
			esac
			say "$name" "$used $((used + left * size))"
		done
}
room /nix/store
# Another place may hang, and must not take the store's figures with it. A boot partition that is
# mounted only when somebody looks is left alone.
set --
for place in /boot /efi /boot/efi; do
	case "$automounts" in *" $place "*) continue ;; esac
	case "$mounts" in *" $place "*) ;; *) continue ;; esac
	# Only where systemd-boot is, kernels lie there too.
	if [ "$place" = /boot ] || [ -e "$place/loader/loader.conf" ]; then
		set -- "$place"
		break
	fi
done
for place in /var /tmp /run; do
	if [ -d "$place" ]; then set -- "$@" "$place"; fi
done
room "$@"

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

say_power

say time "$(date +%s)"
say end ok
