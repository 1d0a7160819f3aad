# Prints what differs between two systems of this host's store. Arguments: the old one and the new one.
# Runs as the login user and changes nothing.
#
# A path of both is `=<TAB>name`, one of the old system only `-<TAB>name<TAB>NAR size`, one of the new
# only `+<TAB>path<TAB>NAR size`; then `size<TAB>old<TAB>new` in bytes. `missing<TAB>path` stands alone: that
# one is not here.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints the closure of a system. $1 the system, $2 what stands before each path.
closure() {
	nix --extra-experimental-features 'nix-command flakes' path-info --recursive --size "$1" |
		awk -v side="$2" '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { print side "\t" $1 "\t" $NF }'
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
	  if ($2 in before) { print "=\t" name($2); delete before[$2] } else print "+\t" $2 "\t" $3 }
	END {
		if (!olds || !news) exit 1
		for (path in before) print "-\t" name(path) "\t" before[path]
		printf "size\t%.0f\t%.0f\n", old, new
	}' || exit 1
printf 'end\tok\n'
