# Prints what differs between two systems of this host's store. Arguments: the old one and the new one.
# Runs as the login user and changes nothing. `parts.sh` is put before it when nixdash is compiled.
#
# First come the parts that only a restart replaces, behind the words `before` and `after`. A path of both is `=<TAB>name`, one of the old system only `-<TAB>name<TAB>NAR size`, one of the new
# only `+<TAB>path<TAB>NAR size`; then `size<TAB>old<TAB>new` in bytes. `missing` stands for these: one of the
# systems is not here. Before all of these, `specialisations` says that the new system is here, and
# `specialisation<TAB>NAME` names each that it has.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints the closure of a system. $1 the system, $2 what stands before each path.
closure() {
	nix --extra-experimental-features 'nix-command flakes' path-info --recursive --size "$1" |
		awk -v side="$2" '$1 ~ /^\/nix\/store\// && $NF ~ /^[0-9]+$/ { print side "\t" $1 "\t" $NF }'
}

# Says that one of the systems is not here, or fails where both are.
neither() {
	! nix-store --check-validity "$1" "$2" 2>/dev/null || exit 1
	printf 'missing\n'
	exit 0
}

# Names the specialisations of a system that is here. $1 the system.
print_specialisations() {
	[ -d "$1" ] || return 0
	printf 'specialisations\n'
	for link in "$1"/specialisation/*; do
		[ ! -e "$link" ] || printf 'specialisation\t%s\n' "${link##*/}"
	done
}

print_specialisations "$2"
print_parts before "$1"
print_parts after "$2"
# What is no file there is not in the store, and Nix need not be asked.
if [ ! -e "$1" ] || [ ! -e "$2" ]; then
	printf 'missing\n'
	exit 0
fi
# Both are asked for at once.
closure "$2" + | {
	closure "$1" -
	cat
} | awk -F '\t' '
	function name(path) { return substr(path, 45) }
	$1 == "-" { before[$2] = $3; old += $3; olds++; next }
	{ new += $3; news++
	  if ($2 in before) { print "=\t" name($2); delete before[$2] } else print "+\t" $2 "\t" $3 }
	END {
		if (!olds || !news) exit 1
		for (path in before) print "-\t" name(path) "\t" before[path]
		printf "size\t%.0f\t%.0f\n", old, new
	}' || neither "$1" "$2"
printf 'end\tok\n'
