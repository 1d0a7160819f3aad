# shellcheck shell=sh
# shellcheck disable=SC2154 # `root` is set by the script that this is put before.
# What a NixOS host is now: where its /etc comes from, what it boots next.
# Put before the scripts that need it when nixdash is compiled. `root` is the folder below which the
# host lies: empty on a host, a folder in tests.

# Prints where /etc comes from: the system's tree of links or, with `system.etc.overlay`, the layers
# of the mount.
etc_source() {
	if ! is_etc_overlay; then
		readlink -f "$root/etc/static"
		return
	fi
	findmnt -nro OPTIONS --mountpoint "$root/etc" | tr ',' '\n' |
		sed -n -e 's/^lowerdir=//p' -e 's/^lowerdir+=//p' | tr ':' '\n' | {
		folders='' images=''
		while read -r layer; do
			[ -n "$layer" ] || continue
			# The layer of names is a mount of its own, in a folder with a random name.
			source=$(findmnt -nro SOURCE --mountpoint "$layer" 2>/dev/null)
			case $source in
			/dev/loop*) source=$(cat "$root/sys/class/block/${source#/dev/}/loop/backing_file") ;;
			esac
			# One that the initrd mounted lies where the initrd saw it.
			source=${source#/sysroot}
			if [ -n "$source" ]; then images="$images$source "; else folders="$folders$layer "; fi
		done
		# The layer of names says which files there are and what stands in them. The folder below it is called
		# otherwise after a start than after an activation.
		printf '%s' "${images:-$folders}"
	}
}

# Tells whether /etc is an overlay that an activation mounts again.
is_etc_overlay() {
	[ "$(findmnt -nro FSTYPE --mountpoint "$root/etc" 2>/dev/null)" = overlay ]
}

# Prints what starts at the next boot: the system and, after a tab, what pins it there. Prints
# nothing where the boot loader is not one that can be read.
next_boot() {
	# What started the machine says so, where there are EFI variables.
	loader=$(loader_variable LoaderInfo)
	case $loader in
	'' | systemd-boot*)
		for boot in "$root/boot" "$root/efi" "$root/boot/efi"; do
			[ -r "$boot/loader/loader.conf" ] || continue
			# One that is older than another boot loader's menu was left by systemd-boot when that was replaced.
			# Where it has started the machine all the same, what starts it next is not known.
			for menu in "$root/boot/grub/grub.cfg" "$boot/limine/limine.conf" "$root/boot/limine/limine.conf"; do
				# shellcheck disable=SC3013 # every sh that NixOS has had knows it
				if [ -r "$menu" ] && [ "$menu" -nt "$boot/loader/loader.conf" ]; then
					[ -z "$loader" ] && continue 2
					return
				fi
			done
			next_of_systemd_boot "$boot"
			return
		done
		;;
	GRUB*) ;;
	*) return ;;
	esac
	if [ -r "$root/boot/grub/grub.cfg" ]; then
		next_of_grub "$root/boot/grub"
	elif [ -r "$root/boot/extlinux/extlinux.conf" ]; then
		next_of_extlinux "$root/boot/extlinux/extlinux.conf"
	fi
}

# Prints the text of a variable of systemd-boot. $1 its name.
loader_variable() {
	variable=$root/sys/firmware/efi/efivars/$1-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
	# Four bytes of attributes, then UTF-16; entry names are ASCII.
	[ -r "$variable" ] && tail -c +5 "$variable" | tr -d '\000'
}

# Prints the first entry that systemd-boot is told to start and has. $1 the folder that holds loader/.
next_of_systemd_boot() {
	# An entry that is preferred is passed over when it has no tries left; one that is the default is not.
	for told in one-time preferred-variable preferred-file default-variable default-file; do
		pinned=''
		case $told in
		one-time)
			wanted=$(loader_variable LoaderEntryOneShot)
			pinned="the one-time entry $wanted (bootctl set-oneshot)"
			;;
		preferred-variable)
			wanted=$(loader_variable LoaderEntryPreferred)
			pinned="the entry $wanted (bootctl set-preferred)"
			;;
		default-variable)
			wanted=$(loader_variable LoaderEntryDefault)
			pinned="the entry $wanted (bootctl set-default)"
			;;
		*)
			wanted=$(values_of "${told%-file}" "$1/loader/loader.conf")
			wanted=${wanted%%"$new_line"*}
			;;
		esac
		if [ "$wanted" = @saved ]; then
			wanted=$(loader_variable LoaderEntryLastBooted)
			pinned="the entry that was booted last, $wanted (default @saved in loader.conf)"
		fi
		[ -n "$wanted" ] || continue
		name=${wanted%.conf}
		entry=$(entry_of_systemd_boot "$1/loader/entries" "$name")
		system=''
		[ -z "$entry" ] || system=$(system_of_options "$(values_of options "$entry")")
		if [ -z "$system" ]; then
			# A unified kernel image: its name says the generation.
			number=${name#nixos-generation-}
			number=${number%%[!0-9]*}
			profile_link=$root/nix/var/nix/profiles/system-$number-link
			if [ -n "$number" ] && [ -e "$profile_link" ]; then system=$(readlink -f "$profile_link"); fi
			# An entry that was removed starts nothing.
			if [ "$name" = "nixos-generation-$number" ] && [ -z "$system" ]; then continue; fi
		fi
		case $told,$entry in
		preferred-*,*+0.conf | preferred-*,*+0-*.conf) continue ;;
		*,*+0.conf | *,*+0-*.conf) pinned="${pinned:+$pinned; }boot counting: ${entry##*/} has no tries left" ;;
		esac
		[ -z "$system" ] || printf '%s\t%s\n' "$system" "$pinned"
		return
	done
}

# Prints the values of a key in a file of systemd-boot, one per line: what follows it in the lines that begin
# with it. $1 the key, $2 the file.
values_of() {
	while read -r word rest || [ -n "$word" ]; do
		rest=${rest%"$carriage_return"}
		[ "$word" != "$1" ] || [ -z "$rest" ] || printf '%s\n' "$rest"
	done <"$2"
}

# What ends a line before its end, in files that were written elsewhere.
carriage_return=$(printf '\r')
new_line='
'

# Prints the system that options of a kernel start: it takes the last one that is named. $1 the options.
system_of_options() (
	set -f
	named=''
	for word in $1; do
		case $word in
		init=*/init) named=${word#init=} ;;
		esac
	done
	printf '%s' "${named%/init}"
)

# Prints the file of an entry. $1 the folder of entries, $2 a name or pattern without `.conf`. Of
# several that a pattern fits systemd-boot takes one by what stands in them: prints nothing then.
entry_of_systemd_boot() {
	fits=''
	# shellcheck disable=SC2086,SC2231 # a pattern, on purpose
	for file in "$1"/$2.conf "$1"/$2+*.conf; do
		if [ ! -e "$file" ] || [ "$file" = "$fits" ]; then continue; fi
		[ -z "$fits" ] || return 0
		fits=$file
	done
	[ -z "$fits" ] || printf '%s\n' "$fits"
}

# $1 the folder of GRUB.
next_of_grub() {
	pinned=''
	saved=''
	once=''
	if [ -r "$1/grubenv" ]; then
		saved=$(sed -n 's/^saved_entry=//p' "$1/grubenv" | head -n 1)
		once=$(sed -n 's/^next_entry=//p' "$1/grubenv" | head -n 1)
	fi
	# The first entry of the menu is the newest generation; NixOS calls it by these names too.
	case $once in
	'' | 0 | NixOS | 'NixOS - Default') ;;
	*) pinned="the one-time entry $once (grub-reboot)" ;;
	esac
	if grep -q 'default=.*saved_entry' "$1/grub.cfg"; then
		case $saved in
		'' | 0 | NixOS | 'NixOS - Default') ;;
		*) [ -n "$pinned" ] || pinned="GRUB's saved entry $saved" ;;
		esac
	fi
	# What the menu itself says stands beside what it takes from GRUB's environment.
	fixed=$(sed -n -e '/saved_entry\|next_entry/d' -e 's/^[[:space:]]*set default=//p' "$1/grub.cfg" | tail -n 1 | tr -d "\"'")
	case $fixed in
	'' | 0 | NixOS | 'NixOS - Default') ;;
	*) [ -n "$pinned" ] || pinned="GRUB's default entry $fixed (boot.loader.grub.default)" ;;
	esac
	if [ -n "$pinned" ]; then
		# Which system that entry starts need not be known: it is not the newest one.
		printf 'another system\t%s\n' "$pinned"
		return
	fi
	system=$(sed -n 's/.*init=\([^ ]*\)\/init.*/\1/p' "$1/grub.cfg" | head -n 1)
	[ -z "$system" ] || printf '%s\t\n' "$system"
}

# $1 the configuration file of extlinux.
next_of_extlinux() {
	awk '
		toupper($1) == "DEFAULT" { wanted = $2 }
		toupper($1) == "LABEL" { label = $2 }
		toupper($1) == "APPEND" && label == wanted && match($0, /init=[^ ]*/) {
			system_path = substr($0, RSTART + 5, RLENGTH - 5)
			sub(/\/init$/, "", system_path)
			printf "%s\t\n", system_path
			exit
		}' "$1"
}

