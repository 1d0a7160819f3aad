#!/bin/sh
# Says what evaluates flakes on this machine, as the login user: lines of a word, a tab and a value. The
# arguments are the names of the settings that are told; others may hold secrets.
say() { printf '%s\t%s\n' "$1" "$2"; }

# Prints how many bytes of memory can be used: what is free in the machine, or in the control group that
# we are in where that has less.
usable_memory() {
	free=$(awk '$1 == "MemAvailable:" { printf "%.0f\n", $2 * 1024 }' /proc/meminfo 2>/dev/null)
	group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)
	limit=$(cat "$group/memory.max" 2>/dev/null)
	used=$(cat "$group/memory.current" 2>/dev/null)
	case $limit in
	'' | max | *[!0-9]*) echo "$free" ;;
	*) echo "$free $((limit - ${used:-0}))" | awk '{ printf "%.0f\n", ($1 < $2 ? $1 : $2) }' ;;
	esac
}

# Prints what Nix says of itself.
nix_says() {
	say nix "$(nix --version 2>/dev/null)"
	nix --extra-experimental-features nix-command config show 2>/dev/null ||
		nix --extra-experimental-features nix-command show-config 2>/dev/null
}

# Prints the lines about Nix, and of its settings those with these names. $* the names.
only_named() {
	awk -v names="$*" '
		BEGIN { count = split(names, list, " "); for (i = 1; i <= count; i++) wanted[list[i]] }
		/^nix\t/ { print; next }
		{
			at = index($0, " = ")
			if (at && substr($0, 1, at - 1) in wanted) { sub(/ +$/, ""); print "setting\t" $0 }
		}'
}

main() {
	# Nix begins while the rest is looked at.
	nix_says | {
		say memory "$(usable_memory)"
		say processors "$(nproc 2>/dev/null)"
		# Older ones cannot be told which hosts are meant.
		if nix-eval-jobs --help 2>/dev/null | grep -q -e --select; then say eval-jobs yes; fi
		only_named "$@"
	}
}

main "$@"
