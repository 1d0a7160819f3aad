# shellcheck shell=sh
# How a probe's script speaks: `key<TAB>value` per line, in plain messages, with the programs of a
# NixOS host before those of another one. Put before the scripts that need it when nixdash is compiled.

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints a key and its value; nothing of a value that is empty.
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
