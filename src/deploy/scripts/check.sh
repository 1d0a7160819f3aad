#!/bin/sh
# Looks at a freshly activated host, as root: which units failed, and whether each configured
# command ($1, $2 …) succeeds. Prints key<TAB>value lines.
for command in "$@"; do
	if said=$(timeout 60 /bin/sh -c "$command" 2>&1 </dev/null); then
		printf 'held\t%s\n' "$command"
	else
		printf 'broken\t%s (exit code %s%s)\n' "$command" "$?" "${said:+: $(printf '%s' "$said" | tail -n 1)}"
	fi
done
systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null |
	while read -r unit _; do printf 'failed\t%s\n' "$unit"; done
