# Says how a host's own store is: `key<TAB>value` lines, what it cannot say is left out.
# Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Used, and what is left for anybody but root: a reserve for root helps no build.
df -kP /nix/store 2>/dev/null | {
	read -r _
	# shellcheck disable=SC2034 # the fields before and between have to be read to get at the others
	if read -r device blocks used left rest; then
		printf 'disk_kib\t%s %s\n' "$used" "$((used + left))"
	fi
}

# The running system is valid: one question that only a readable database can answer.
system=$(readlink -e /run/current-system) || {
	printf 'error\tthere is no /run/current-system\n'
	exit 0
}
if complaint=$(nix-store --check-validity "$system" 2>&1); then
	printf 'database\treadable\n'
else
	printf 'error\t%s\n' "$(printf '%s\n' "$complaint" | tail -n 1)"
fi
