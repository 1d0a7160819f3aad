# Prints what differs between two systems of this host's store. Arguments: the old one, the new one, and
# the one that the host was started with, or nothing: what of it only a restart replaces is compared
# too. Runs as the login user and changes nothing.
#
# A path of both is `=<TAB>name`, one of the old system only `-<TAB>name<TAB>NAR size`, one of the new
# only `+<TAB>name<TAB>NAR size`; then `size<TAB>old<TAB>new` in bytes, and `restart<TAB>part<TAB>old<TAB>new`
# for each part that a restart replaces. `missing<TAB>path` stands alone: that one is not here.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints the closure of a system. $1 the system, $2 what stands before each path.
closure() {
	nix --extra-experimental-features 'nix-command flakes' path-info --recursive --size "$1" |
		awk -v side="$2" '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { print side "\t" $1 "\t" $NF }'
}

# Prints which parts differ that only a restart replaces. $1 what was started, $2 the new system.
restart() {
	for part in kernel initrd kernel-modules systemd; do
		old=$(readlink -e "$1/$part") || continue
		new=$(readlink -e "$2/$part") || continue
		[ "$old" = "$new" ] || printf 'restart\t%s\t%s\t%s\n' "$part" "$old" "$new"
	done
	if [ -r "$1/kernel-params" ] && [ -r "$2/kernel-params" ] &&
		[ "$(cat "$1/kernel-params")" != "$(cat "$2/kernel-params")" ]; then
		printf 'restart\tparameters\t\t\n'
	fi
}

for system in "$1" "$2"; do
	nix-store --check-validity "$system" 2>/dev/null || {
		printf 'missing\t%s\n' "$system"
		exit 0
	}
done
{
	closure "$1" -
	closure "$2" +
} | awk -F '\t' '
	function name(path) { return substr(path, 45) }
	$1 == "-" { before[$2] = $3; old += $3; olds++; next }
	{ new += $3; news++
	  if ($2 in before) { print "=\t" name($2); delete before[$2] } else print "+\t" name($2) "\t" $3 }
	END {
		if (!olds || !news) exit 1
		for (path in before) print "-\t" name(path) "\t" before[path]
		printf "size\t%.0f\t%.0f\n", old, new
	}' || exit 1
[ -z "$3" ] || [ ! -e "$3" ] || restart "$3" "$2"
printf 'end\tok\n'
