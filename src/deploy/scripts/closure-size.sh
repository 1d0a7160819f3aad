#!/bin/sh
# Says how big the closure of a system is, on the host that has it, as the login user. $1 the system, $2
# paths, to print `SIZE<TAB>PATH` of each path too, $3 the size, where that is known already,
# $4 a specialisation that it is to have, where one is asked for. Prints key<TAB>value lines: switch (whether the system
# can be activated), lacks (that specialisation, where the system has none of that name) and size (the sum, in bytes).
[ -e "$1" ] || exit 1
if [ -x "$1/bin/switch-to-configuration" ]; then
	printf 'switch\tyes\n'
else
	printf 'switch\tno\n'
fi
[ -z "$4" ] || [ -e "$1/specialisation/$4" ] || printf 'lacks\t%s\n' "$4"
if [ -n "$3" ]; then
	printf 'size\t%s\n' "$3"
	exit
fi
paths=$(nix-store --query --requisites "$1") || exit 1
# In the order of the paths.
sizes=$(printf '%s\n' "$paths" | xargs nix-store --query --size) || exit 1
printf 'size\t%s\n' "$(printf '%s\n' "$sizes" | awk '{ sum += $1 } END { printf "%.0f", sum }')"
if [ "$2" = paths ]; then
	printf '%s\n' "$paths" | {
		printf '%s\n' "$sizes" | while IFS= read -r size; do
			IFS= read -r path <&3 || break
			printf '%s\t%s\n' "$size" "$path"
		done
	} 3<&0
fi
