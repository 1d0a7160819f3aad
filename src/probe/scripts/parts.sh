# Prints the parts of a system that only a restart replaces, `part<TAB>name of its store path` for each.
# Argument: the system. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

[ -e "$1" ] || exit 0
for part in kernel initrd kernel-modules systemd; do
	path=$(readlink -e "$1/$part") || continue
	printf '%s\t%s\n' "$part" "$path"
done
if [ -r "$1/kernel-params" ]; then printf 'kernel-params\t%s\n' "$(tr '\n\t' '  ' <"$1/kernel-params")"; fi
printf 'end\tok\n'
