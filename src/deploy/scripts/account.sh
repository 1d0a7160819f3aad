#!/bin/sh
# Says how a host stands whose supervisor is gone, as root: prints key<TAB>value lines. `results.sh`,
# `units.sh`, `host-facts.sh`, `specialisations.sh` and `failed-units.sh` are put before it when nixdash is compiled. $1 the job's name.
# shellcheck disable=SC2034 # for the files before it
main() {
	root=''
	dir=/run/nixdash/jobs/$1
	say boot_id "$(cat /proc/sys/kernel/random/boot_id)"
	running=$(readlink -f /run/current-system)
	say running "$running"
	special=$(running_specialisation "$running")
	if [ -n "$special" ]; then say specialisation "$special"; fi
	say profile "$(readlink -f /nix/var/nix/profiles/system)"
	boots=$(next_boot)
	say boots "${boots%%	*}"
	say pinned "${boots#*	}"
	etc=$(etc_source)
	say etc "$etc"
	say running_etc "$(readlink -f /run/current-system/etc)"
	if is_etc_overlay; then say overlay yes; fi
	say_failed_units
	if [ -d "$dir" ]; then say format "$(format_of)"; fi
	if has outcome; then say outcome "$(result outcome)"; fi
	if is_there "nixdash-$1"; then say busy yes; fi
	if [ -r /nix/var/nixdash/intent ]; then say intent "$(head -n 1 /nix/var/nixdash/intent | cut -f 1)"; fi
}

say() { printf '%s\t%s\n' "$1" "$2"; }

main "$@"
