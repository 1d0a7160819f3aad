# Prints `paths<TAB>bytes`: how many valid paths the store has and the sum of their NAR sizes.
# Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# The database itself where a program for it is there, which NixOS does not have by itself.
if command -v sqlite3 >/dev/null 2>&1; then
	if found=$(sqlite3 -readonly -separator '	' 'file:/nix/var/nix/db/db.sqlite?mode=ro' \
		'SELECT count(*), coalesce(sum(narSize), 0) FROM ValidPaths;' 2>/dev/null) && [ -n "$found" ]; then
		printf '%s\n' "$found"
		exit 0
	fi
fi

nix --extra-experimental-features 'nix-command flakes' path-info --all --size |
	awk '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { paths++; bytes += $NF }
			 END { if (paths == 0) exit 1; printf "%d\t%.0f\n", paths, bytes }'
