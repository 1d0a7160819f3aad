# Prints the closure of a path: `root<TAB>path` first, then `path<TAB>NAR size` each.
# Arguments: the path, such as /run/current-system. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

root=$(readlink -e "$1") || {
	echo "there is no $1" >&2
	exit 1
}
printf 'root\t%s\n' "$root"
nix --extra-experimental-features 'nix-command flakes' path-info --recursive --size "$root" |
	awk '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { paths++; print $1 "\t" $NF }
			 END { if (paths == 0) exit 1 }'
