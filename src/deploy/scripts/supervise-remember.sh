# shellcheck shell=sh
# shellcheck disable=SC2154 # what the supervisor's other files define
# What a host remembers of the systems that it was given: what they were built from, and which of them did not
# do well. Put before `supervise.sh` when nixdash is compiled.

# Remembers what the new system was built from, beside what is remembered of the systems before it.
remember_revision() {
	[ -n "$revision" ] || return 0
	{
		remembered_of_others deployed "$toplevel"
		printf '%s\t%s\t%s\t%s\t%s\n' "$toplevel" "$revision" "${flake:-unknown}" "$(word_of_owner who)" "$(date +%s)"
	} >"$intents/deployed.new" && mv "$intents/deployed.new" "$intents/deployed"
}

# Remembers of a system that a run took it back, or that it failed here: a rollback to "the generation before"
# passes it over. $1 the system, $2 withdrawn or failed; nothing where it does well now, or is wanted
# once more after a run took it back.
mark_system() {
	[ -n "$2" ] || [ -e "$intents/marked" ] || return 0
	{
		remembered_of_others marked "$1"
		[ -z "$2" ] || printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$(word_of_owner run)" "$(word_of_owner who)" "$(date +%s)"
	} >"$intents/marked.new" && mv "$intents/marked.new" "$intents/marked"
}

# Marks the new system; what a run takes the host back to was there before, and is left as it is. $1 as above.
mark_new() {
	[ -n "$withdraws" ] || mark_system "$toplevel" "$1"
}

# Tells whether the new system is marked as one that failed here.
has_failed() {
	grep -qF "$toplevel	failed	" "$intents/marked" 2>/dev/null
}

# Prints the newest lines of a file that are about other systems. $1 what the file is called, $2 the system.
remembered_of_others() {
	grep -vF "$2	" "$intents/$1" 2>/dev/null | tail -n 19
}

# Prints a word of who does this; `unknown` where it is not said. $1 what it is called.
word_of_owner() {
	word=$(printf '%s' "$owner" | sed -n "s/.*$1=\([^ ]*\).*/\1/p")
	printf '%s' "${word:-unknown}"
}

