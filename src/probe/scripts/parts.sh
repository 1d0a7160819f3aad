# What only a restart replaces of a system. Put before the scripts that need it when nixdash is compiled.
# shellcheck shell=sh

# Prints the parts of a system, `WORD<TAB>part<TAB>what it is` for each; nothing of a system that is not here.
# $1 the word, $2 the system.
print_parts() {
	[ -e "$2" ] || return 0
	for part in kernel initrd kernel-modules systemd; do
		path=$(readlink -e "$2/$part") || continue
		printf '%s\t%s\t%s\n' "$1" "$part" "$path"
	done
	if [ -r "$2/kernel-params" ]; then
		printf '%s\tkernel-params\t%s\n' "$1" "$(tr '\n\t' '  ' <"$2/kernel-params")"
	fi
}
