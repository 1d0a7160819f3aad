# What only a restart replaces of a system. Put before the scripts that need it when nixdash is compiled.
# shellcheck shell=sh

# Prints the parts of a system, `WORD<TAB>part<TAB>what it is` for each; nothing of a system that is not here.
# $1 the word, $2 the system.
print_parts() {
	[ -e "$2" ] || return 0
	word=$1 of=$2
	set --
	for part in kernel initrd kernel-modules systemd; do
		[ ! -e "$of/$part" ] || set -- "$@" "$of/$part"
	done
	[ "$#" = 0 ] || readlink -e "$@" | for link; do
		IFS= read -r path && printf '%s\t%s\t%s\n' "$word" "${link##*/}" "$path"
	done
	if [ -r "$of/kernel-params" ]; then
		printf '%s\tkernel-params\t%s\n' "$word" "$(tr '\n\t' '  ' <"$of/kernel-params")"
	fi
}
