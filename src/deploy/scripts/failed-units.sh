# shellcheck shell=sh
# Which units failed. Put before the scripts that need it when nixdash is compiled.

# Prints the failed units, one per line; fails where systemd does not say which those are.
failed_units() {
	failed_listing=$(timeout 10 systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null) || return 1
	printf '%s\n' "$failed_listing" | while read -r name _; do [ -z "$name" ] || printf '%s\n' "$name"; done
}

# Prints the failed units as before. A systemd that is executed again may not answer for a moment, so it is asked twice.
asked_failed_units() {
	failed_units || { sleep 2 && failed_units; }
}

# Prints a line `failed` with each failed unit and, behind those, the line `units<TAB>read`; nothing where systemd
# does not say which units failed, which is not the same as none. $1 how they are asked for: once, where it is not said.
say_failed_units() {
	failed_now=$("${1:-failed_units}") || return 0
	[ -z "$failed_now" ] || printf '%s\n' "$failed_now" | while read -r name; do printf 'failed\t%s\n' "$name"; done
	printf 'units\tread\n'
}

