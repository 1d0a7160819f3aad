# Prints how a host's Nix is set up: one `key<TAB>value` per line, and below a line of dashes the
# settings. Root sees what the daemon sees: its own files, not those of whoever logged in.
# `says.sh` is put before it when nixdash is compiled. Arguments: none. Changes nothing.
# shellcheck shell=sh

TZ=UTC
export TZ

# Prints a file of settings and the files that it includes, as Nix finds them. $1: the file, $2: how
# deep to look.
files_of() {
	[ -f "$1" ] && [ -r "$1" ] || return 0
	printf '%s\n' "$1"
	[ "$2" -gt 0 ] || return 0
	awk '{ sub(/#.*/, "") } ($1 == "include" || $1 == "!include") && NF == 2 { print $2 }' "$1" |
		while IFS= read -r included; do
			case "$included" in
			/*) files_of "$included" "$(($2 - 1))" ;;
			*) files_of "${1%/*}/$included" "$(($2 - 1))" ;;
			esac
		done
}

# Prints when a file was changed last, and every link on the way to it: a link can be turned.
changes_of() {
	stat -L -c %Z "$1" 2>/dev/null
	place=$1
	hops=0
	while [ -n "$place" ] && [ "$hops" -lt 40 ]; do
		hops=$((hops + 1))
		above=$place
		while [ -n "$above" ] && [ "$above" != / ]; do
			if [ -L "$above" ]; then stat -c %Z "$above" 2>/dev/null; fi
			above=${above%/*}
		done
		[ -L "$place" ] || break
		target=$(readlink "$place")
		case "$target" in
		/*) place=$target ;;
		*) place=${place%/*}/$target ;;
		esac
	done
}

# Says whether a daemon runs, since when, and which start of it that is. A newer Lix starts one for
# each connection.
daemon() {
	command -v systemctl >/dev/null 2>&1 || return 0
	if [ "$(limited systemctl show --property=Accept nix-daemon.socket)" = Accept=yes ]; then
		say daemon each
		return 0
	fi
	shown=$(limited systemctl show --property=LoadState --property=ActiveState --property=MainPID \
		--property=InvocationID --property=ExecMainStartTimestamp nix-daemon.service)
	load='' active='' main=0 id='' since=''
	# In this shell: each property costs no process.
	while IFS='=' read -r property value; do
		case $property in
		LoadState) load=$value ;;
		ActiveState) active=$value ;;
		MainPID) main=$value ;;
		InvocationID) id=$value ;;
		ExecMainStartTimestamp) since=$value ;;
		esac
	done <<END
$shown
END
	[ "$load" = loaded ] || return 0
	case "$active" in
	active | reloading | deactivating)
		[ "$main" != 0 ] || return 0
		started=$(date -d "$since" +%s 2>/dev/null)
		if [ -n "$id" ] && [ -n "$started" ]; then say daemon "$id $started"; fi
		;;
	inactive) say daemon none ;;
	esac
}

# Says what the settings that root's Nix reads are made of, and when that changed last.
settings_files() {
	command -v sha256sum >/dev/null 2>&1 || return 0
	all=$(for file in "${NIX_CONF_DIR:-/etc/nix}/nix.conf" /etc/xdg/nix/nix.conf \
		"$HOME/.config/nix/nix.conf"; do files_of "$file" 8; done)
	[ -n "$all" ] || return 0
	hash=$(printf '%s\n' "$all" | while IFS= read -r file; do
		printf '%s\n' "$file"
		cat "$file"
	done | sha256sum)
	newest=$(printf '%s\n' "$all" | while IFS= read -r file; do changes_of "$file"; done |
		sort -n | tail -n 1)
	if [ -n "$newest" ]; then say files "${hash%% *} $newest"; fi
}

# Prints what folders that are caches say of themselves, which no curl asks.
folders() {
	printf '%s\n' "$settings" | sed -n 's/^substituters = //p' | tr ' ' '\n' |
		while IFS= read -r address; do
			case "$address" in
			file://*)
				folder=${address#file://}
				folder=${folder%%\?*}
				if [ -f "$folder/nix-cache-info" ] && [ -r "$folder/nix-cache-info" ]; then
					head -c 4096 "$folder/nix-cache-info" | tr -d '\r\t' |
						while IFS= read -r line; do say folder "$address $line"; done
				fi
				;;
			esac
		done
}

if [ "$(id -u)" = 0 ]; then
	HOME=~root
	export HOME
	unset XDG_CONFIG_HOME XDG_CONFIG_DIRS NIX_CONFIG NIX_USER_CONF_FILES NIX_REMOTE NIX_CONF_DIR
	say root yes
	daemon
	settings_files
fi
if command -v curl >/dev/null 2>&1; then say curl yes; fi
say nix "$(nix --version 2>/dev/null | head -n 1)"
settings=$(nix --extra-experimental-features nix-command config show 2>/dev/null ||
	nix --extra-experimental-features nix-command show-config) || exit
folders
printf '%s\n' '---'
# Tokens stay where they are.
printf '%s\n' "$settings" | grep -v '^access-tokens = '
