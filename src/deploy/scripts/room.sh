#!/bin/sh
# Says whether a host has room for a new system, as root. Prints key<TAB>value lines and changes nothing.
# $1 is the folder below which the host lies: empty, but in tests.
#
# `store`: reads `SIZE<TAB>PATH` lines, and prints nix_free (bytes) and needed: the sizes of the paths that
# are not there yet.
# `boot SYSTEM`: prints system no where it is no system of NixOS, switch no where it cannot be activated, and for each place that the boot
# menu copies kernels and initrds to: `boot<TAB>PLACE<TAB>FREE<TAB>NEEDED`, in bytes. NEEDED counts what is
# not there yet; FREE counts what the boot menu removes before it copies anything.

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
	candidates | sort -u | while IFS= read -r place; do
		at=$root$place
		if [ -d "$at/EFI/nixos" ]; then
			# Mirrors have the entries too; what an older layout left elsewhere does not.
			for entry in "$at/loader/entries/nixos-generation-$newest"[.+-]*conf; do
				[ ! -e "$entry" ] || echo "$at/EFI/nixos"
			done | head -n 1
		fi
		if [ -d "$at/kernels" ] && [ -r "$at/grub/grub.cfg" ]; then echo "$at/kernels"; fi
		if [ -d "$at/nixos" ] && [ -r "$at/extlinux/extlinux.conf" ]; then echo "$at/nixos"; fi
	done | while IFS= read -r folder; do
		# One folder may be reached by several names.
		printf '%s\t%s\n' "$(stat -c %d:%i "$folder")" "$folder"
	done | sort -u -k 1,1 | cut -f 2
}

# Prints the generations whose boot entries stay when one more is added. $1 a folder of kernels.
kept_generations() {
	all=$(for link in "$root"/nix/var/nix/profiles/system-*-link; do
		[ ! -e "$link" ] || echo "$link"
	done | sort -V)
	entries=$(find "$1/../../loader/entries" -name 'nixos-generation-*.conf' ! -name '*specialisation*' 2>/dev/null | wc -l)
	if [ "$entries" -gt 0 ] && [ "$entries" -lt "$(printf '%s\n' "$all" | wc -l)" ]; then
		# There is a limit (configurationLimit), and the new one takes the place of the oldest.
		printf '%s\n' "$all" | tail -n "$((entries - 1))"
	else
		printf '%s\n' "$all"
	fi
}

# Prints the bytes that systemd-boot's menu frees before it copies: what no generation needs any more. The
# other boot loaders remove files when they have copied. $1 the folder of kernels, $2 the new system.
freed() {
	case $1 in
	*/EFI/nixos) ;;
	*)
		echo 0
		return
		;;
	esac
	# shellcheck disable=SC2046 # paths of profiles
	needed_names=$(boot_files $(kept_generations "$1") "$root"/nix/var/nix/profiles/system-profiles/*-link "$2" | while IFS= read -r file; do boot_name "$file"; done)
	for file in "$1"/*; do
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

boot() {
	if [ ! -x "$1/bin/switch-to-configuration" ]; then
		[ -e "$1/nixos-version" ] || printf 'system\tno\n'
		printf 'switch\tno\n'
	fi
	system_files=$(boot_files "$1")
	kernel_folders | while IFS= read -r folder; do
		needed=$(printf '%s\n' "$system_files" | while IFS= read -r file; do
			if [ -n "$file" ] && ! has_file "$folder" "$file"; then stat -c %s "$file"; fi
		done | awk '{ sum += $1 } END { printf "%.0f", sum }')
		place=${folder#"$root"}
		place=${place%/EFI/nixos}
		place=${place%/kernels}
		place=${place%/nixos}
		printf 'boot\t%s\t%.0f\t%s\n' "$place" \
			"$(($(free_at "$folder") + $(freed "$folder" "$1")))" "$needed"
	done
}

root=$1
case $2 in
store) store ;;
boot) boot "$3" ;;
esac
