# Counts what a cache server's log says of requests since a place in the journal. Lines count that
# are in Apache's combined format: nix-serve-ng writes them unless told otherwise, Starman (under
# nix-serve) with --access-log. Prints `key<TAB>value` lines: counts and the cursor of the last line.
# $1: the unit. $2: the cursor to begin after; without one only the newest cursor is printed.
# $3: most lines that are read; the rest is for the next time. Changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints the journal's lines that match, one JSON document each.
journal() {
	journalctl --quiet --no-pager --output=json --output-fields=MESSAGE "$@"
}

command -v journalctl >/dev/null 2>&1 || {
	echo 'there is no journalctl' >&2
	exit 127
}
# Whoever may not read the journal sees lines of their own only.
if [ -z "$2" ] && [ -z "$(journal --lines=1 _UID=0)" ]; then
	printf '%s may not read the journal\n' "$(id -un)" >&2
	exit 77
fi
if [ -z "$2" ]; then
	journal --lines=1
else
	{ journal --unit="$1" --after-cursor="$2" || echo 'failed'; } | head -n "$3"
fi | awk '
	$0 == "failed" { failed = 1; exit }
	!match($0, /[{,] *"__CURSOR" *: *"/) { next }
	{
		cursor = substr($0, RSTART + RLENGTH)
		cursor = substr(cursor, 1, index(cursor, "\"") - 1)
		read++
	}
	!match($0, /[{,] *"MESSAGE" *: *"/) { next }
	{
		# ADDRESS - USER [TIME] "METHOD PATH VERSION" STATUS SIZE "REFERER" "USER-AGENT"
		text = substr($0, RSTART + RLENGTH)
		# journald says so of a unit that writes more than it takes.
		if (text ~ /^Suppressed [0-9]+ messages from /) {
			split(text, word, " ")
			dropped += word[2]
			next
		}
		gsub(/\\"/, "\001", text)
		if (split(text, part, "\001") < 7) next
		if (part[2] !~ /^[A-Z]+ [^ ]+ HTTP\/[0-9.]+$/) next
		if (part[3] !~ /^ [0-9][0-9][0-9] /) next
		if (part[6] ~ /^nixdash\//) { own++; next }
		others++
		split(part[2], word, " ")
		if (word[1] != "GET") next
		status = substr(part[3], 2, 3)
		path = word[2]
		sub(/\?.*/, "", path)
		hash = substr(path, 2, 32)
		if (length(path) == 41 && hash ~ /^[0-9a-df-np-sv-z]+$/ && path ~ /\.narinfo$/) {
			if (status == "200") hits++
			if (status == "404") misses++
		} else if (path ~ /^\/nar\/.*\.nar$/) {
			nars++
			if (status == "404") gone++
		}
	}
	END {
		if (failed) exit 1
		if (cursor != "") printf "cursor\t%s\n", cursor
		printf "read\t%d\ndropped\t%d\nown\t%d\nothers\t%d\n", read, dropped, own, others
		printf "hits\t%d\nmisses\t%d\nnars\t%d\ngone\t%d\n", hits, misses, nars, gone
	}'
