#!/bin/sh
# Says whether a host has room for a new system, as root. Prints key<TAB>value lines and changes nothing.
# $1 is the folder below which the host lies: empty, but in tests.
#
# `store`: reads `SIZE<TAB>PATH` lines, and prints nix_free (bytes) and needed: the sizes of the paths that
# are not there yet.
# `boot SYSTEM SPECIALISATION`: prints system no where it is no system of NixOS, switch no where it cannot be activated,
# `lacks<TAB>SPECIALISATION` where it has no such specialisation (none is asked for where that is empty), and for each place that the boot
# menu copies kernels and initrds to: `boot<TAB>PLACE<TAB>FREE<TAB>NEEDED<TAB>PERHAPS`, in bytes. NEEDED counts
# what is not there yet; FREE counts what the boot menu removes before it copies anything, by the
# configurationLimit of the new system. PERHAPS is FREE where that limit cannot be read and the menu drops its
# oldest generation. `unmeasured<TAB>PLACE` is a place whose kernels are called and signed in ways that are not
# known here.

# Prints how many bytes are free where something lies. $1 what.
free_at() {
	df -P -B1 "$1" | awk 'NR == 2 { print $4 }'
}

store() {
	echo "nix_free	$(free_at "$root/nix/store")"
	tab=$(printf '\t')
	while IFS="$tab" read -r size path; do
		# A path that is there is valid, or will be replaced by one as big.
		if [ ! -e "$root$path" ]; then echo "$size"; fi
	done | awk '{ sum += $1 } END { printf "needed\t%.0f\n", sum }'
}

# Prints the files that a boot menu takes of systems and of their specialisations. $@ systems.
boot_files() {
	for system; do
		printf '%s\n' "$system/kernel" "$system/initrd" \
			"$system"/specialisation/*/kernel "$system"/specialisation/*/initrd
	done | xargs -r readlink -e | sort -u
}

# Prints what boot loaders call a file of the store: without the store, and with - between. $1 the file.
boot_name() {
	printf '%s\n' "${1##*/nix/store/}" | tr / -
}

# Tells whether a place has a file already. $1 the place's folder of kernels, $2 the file.
has_file() {
	name=$(boot_name "$2")
	size=$(stat -c %s "$2")
	for there in "$1/$name" "$1/$name.efi"; do
		# One that is smaller was cut off by a full disk; secrets make one bigger.
		[ ! -e "$there" ] || [ "$(stat -c %s "$there")" -lt "$size" ] || return 0
	done
	# Under another name.
	[ -n "$(find "$1" -maxdepth 1 -type f -size "${size}c" -exec cmp -s {} "$2" \; -print 2>/dev/null)" ]
}

# Prints places where a boot partition may be mounted: one per line, some of them twice.
candidates() {
	bootctl --print-boot-path 2>/dev/null
	bootctl --print-esp-path 2>/dev/null
	printf '%s\n' /boot /efi /boot/efi
	# A network's file system whose server is away would hold whoever looks at it.
	awk '{ for (i = 7; i < NF; i++) if ($i == "-") { if ($(i + 1) ~ /^(vfat|msdos|ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|tmpfs|overlay)$/) print $5; break } }' \
		"$root/proc/self/mountinfo" 2>/dev/null
	# One that is mounted only when somebody looks.
	awk '$1 !~ /^#/ && ($3 == "vfat" || $2 ~ /^\/(boot|efi)/) { print $2 }' "$root/etc/fstab" 2>/dev/null
}

# Prints the folders that kernels are copied to, below the places where a boot menu is.
kernel_folders() {
	newest=$(readlink "$root/nix/var/nix/profiles/system")
	newest=${newest#system-}
	newest=${newest%-link}
	started=$(readlink -f "$root/nix/var/nix/profiles/system")
	started=${started#"$root"}
	candidates | sort -u | while IFS= read -r place; do
		at=$root$place
		if [ -d "$at/EFI/nixos" ]; then
			# Mirrors have the entries too; what an older layout left elsewhere does not. Entries are called by
			# their generations, or after a hash of what stands in them.
			for entry in "$at/loader/entries/nixos-generation-$newest"[.+-]*conf; do
				if [ -e "$entry" ] || grep -qsF "init=$started/init" "$at/loader/entries"/*.conf; then
					echo "$at/EFI/nixos"
				fi
			done | head -n 1
		fi
		if [ -d "$at/kernels" ] && [ -r "$at/grub/grub.cfg" ]; then echo "$at/kernels"; fi
		if [ -d "$at/nixos" ] && [ -r "$at/extlinux/extlinux.conf" ]; then echo "$at/nixos"; fi
	done | while IFS= read -r folder; do
		# One folder may be reached by several names.
		printf '%s\t%s\n' "$(stat -c %d:%i "$folder")" "$folder"
	done | sort -u -k 1,1 | cut -f 2
}

# Prints the file that writes the boot menu of systemd-boot for a system; nothing where it cannot be found:
# switch-to-configuration names the installer, and that the file. $1 the system.
menu_writer() {
	named=$1/bin/switch-to-configuration
	for _ in installer writer; do
		named=$(grep -aoE '/nix/store/[a-z0-9]{32}-[-+._?=A-Za-z0-9]*systemd-boot[-+._?=A-Za-z0-9/]*' "$named" 2>/dev/null | head -n 1)
		[ -n "$named" ] && [ -r "$root$named" ] || return 0
		named=$root$named
		if [ -n "$(limit_of "$named")" ]; then
			printf '%s\n' "$named"
			return 0
		fi
	done
}

# Prints how many generations a menu has at most, 0 without a limit; nothing where the file does not say it.
# $1 the file that writes the menu.
limit_of() {
	sed -nE 's/^ *(CONFIGURATION_LIMIT|configurationLimit) = [^0-9]*([0-9]+).*/\2/p' "$1" | head -n 1
}

# Prints the generations of the system profile, the newest last.
generations() {
	for link in "$root"/nix/var/nix/profiles/system-*-link; do
		[ ! -e "$link" ] || echo "$link"
	done | sort -V
}

# Prints the generations whose boot entries stay when one more is added. $1 a folder of kernels, $2 the new
# system, $3 how many a menu has at most; nothing where that is not known.
kept_generations() {
	all=$(generations)
	count=$(printf '%s\n' "$all" | wc -l)
	kept=$count
	case $3 in
	0) ;;
	'')
		entries=$(find "$1/../../loader/entries" -name 'nixos-generation-*.conf' ! -name '*specialisation*' 2>/dev/null | wc -l)
		# There is a limit, and the new one takes the place of the oldest.
		if [ "$entries" -gt 0 ] && [ "$entries" -lt "$count" ]; then kept=$((entries - 1)); fi
		;;
	*)
		kept=$(($3 - 1))
		# One that is a generation already may add none.
		for link in $all; do
			[ "$(readlink -f "$link")" != "$2" ] || kept=$3
		done
		;;
	esac
	printf '%s\n' "$all" | tail -n "$kept"
}

# Prints the bytes of files that none of some systems needs, besides other profiles and the new system. $1 the
# folder of kernels, $2 the new system, the rest systems.
unneeded() {
	folder=$1
	shift
	needed_names=$(boot_files "$@" "$root"/nix/var/nix/profiles/system-profiles/*-link | while IFS= read -r file; do boot_name "$file"; done)
	for file in "$folder"/*; do
		name=${file##*/}
		case "
$needed_names
" in
		*"
${name%.efi}
"*) ;;
		*) [ ! -f "$file" ] || stat -c %s "$file" ;;
		esac
	done | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# Prints the bytes that systemd-boot's menu frees before it copies: what no generation needs any more. Then,
# after a tab, how many it frees where it has as many generations as it may and drops the oldest, which is not
# known. The other boot loaders remove files when they have copied, and so do the newest menus of
# systemd-boot. $1 the folder of kernels, $2 the new system.
freed() {
	writer=$(menu_writer "$2")
	limit=''
	[ -z "$writer" ] || limit=$(limit_of "$writer")
	case $1 in
	*/EFI/nixos) [ -z "$writer" ] || grep -q remove_old_entries "$writer" || set -- '' ;;
	*) set -- '' ;;
	esac
	if [ -z "$1" ]; then
		printf '0\t0'
		return
	fi
	kept=$(kept_generations "$1" "$2" "$limit")
	# shellcheck disable=SC2086 # paths of profiles
	surely=$(unneeded "$1" "$2" $kept)
	perhaps=$surely
	if [ -z "$limit" ] && [ "$kept" = "$(generations)" ]; then
		# shellcheck disable=SC2046 # paths of profiles
		perhaps=$(unneeded "$1" "$2" $(printf '%s\n' "$kept" | tail -n +2))
	fi
	printf '%s\t%s' "$surely" "$perhaps"
}

# Names the places where a boot menu of unified kernel images is, as lanzaboote writes it.
name_unmeasured() {
	candidates | sort -u | while IFS= read -r place; do
		set -- "$root$place"/EFI/Linux/nixos-generation-*.efi
		[ ! -e "$1" ] || printf 'unmeasured\t%s\n' "$place"
	done
}

boot() {
	if [ ! -x "$1/bin/switch-to-configuration" ]; then
		[ -e "$1/nixos-version" ] || printf 'system\tno\n'
		printf 'switch\tno\n'
	fi
	[ -z "$2" ] || [ -e "$1/specialisation/$2" ] || printf 'lacks\t%s\n' "$2"
	system_files=$(boot_files "$1")
	folders=$(kernel_folders)
	if [ -z "$folders" ]; then
		name_unmeasured
		return
	fi
	printf '%s\n' "$folders" | while IFS= read -r folder; do
		needed=$(printf '%s\n' "$system_files" | while IFS= read -r file; do
			if [ -n "$file" ] && ! has_file "$folder" "$file"; then stat -c %s "$file"; fi
		done | awk '{ sum += $1 } END { printf "%.0f", sum }')
		place=${folder#"$root"}
		place=${place%/EFI/nixos}
		place=${place%/kernels}
		place=${place%/nixos}
		free=$(free_at "$folder")
		made=$(freed "$folder" "$1")
		printf 'boot\t%s\t%.0f\t%s\t%.0f\n' "$place" "$((free + ${made%	*}))" "$needed" "$((free + ${made#*	}))"
	done
}

root=$1
case $2 in
store) store ;;
boot) boot "$3" "$4" ;;
esac
