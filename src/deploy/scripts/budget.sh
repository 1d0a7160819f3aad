#!/bin/sh
# A host's part in budgets, as root: a claim of a place is a file on the host itself, below
# /run/nixdash, which its operator renews. `units.sh` is put before it when nixdash is compiled.
#
# $1 what to do, $2 who claims (a word), $3 what is known of them for a second operator, $4 … the
# budgets. claim: writes the claims, and leaves those that are held as they are. hold: marks them as held.
# renew: says that the operator of held ones still lives. release: removes them. look: only prints. Prints
# key<TAB>budget<TAB>text lines: `mine` (claimed), `held` (by the same), `taken` (by another), `free` or
# `lost`; and `busy` when a system is being activated here. Fails where a claim could not be written.

# A claim that was not renewed for so long has nobody any more, in seconds.
forgotten=60

# Tells whether a claim is there and somebody's. $1 its file.
is_claimed() {
	[ -s "$1" ] || return 1
	written=$(stat -c %Y "$1") || return 1
	age=$(($(date +%s) - written))
	# One from the future is from before the clock was set back, and nobody would ever see it grow old.
	if [ "$age" -le "$forgotten" ] && [ "$age" -ge "-$forgotten" ]; then return 0; fi
	rm -f "$1"
	return 1
}

# Says whose claim a budget has here. $1 the budget.
say_claim() {
	if ! is_claimed "$folder/budget-$1"; then
		printf 'free\t%s\t\n' "$1"
		return
	fi
	read -r id state _ <"$folder/budget-$1"
	case $id:$state in
	"id=$who:state=hold") printf 'held\t%s\t\n' "$1" ;;
	"id=$who:"*) printf 'mine\t%s\t\n' "$1" ;;
	*) printf 'taken\t%s\t%s\n' "$1" "$(head -n 1 "$folder/budget-$1")" ;;
	esac
}

# Does what was asked for one budget. $1 the budget.
one() {
	said=$(say_claim "$1")
	case $mode:$said in
	claim:free* | claim:mine* | hold:mine* | hold:held*)
		printf 'id=%s state=%s %s since=%s\n' "$who" "$mode" "$about" "$(date +%s)" >"$folder/budget-$1.new" &&
			mv "$folder/budget-$1.new" "$folder/budget-$1" || return
		say_claim "$1"
		;;
	claim:held* | renew:held*)
		touch "$folder/budget-$1"
		printf '%s\n' "$said"
		;;
	release:mine* | release:held*)
		rm -f "$folder/budget-$1"
		printf 'free\t%s\t\n' "$1"
		;;
	hold:* | renew:*) printf 'lost\t%s\t\n' "$1" ;;
	*) printf '%s\n' "$said" ;;
	esac
}

main() {
	mode=$1 who=$2 about=$3 folder=/run/nixdash
	shift 3
	mkdir -p "$folder" && chmod 700 "$folder" || return 1
	exec 8>>"$folder/budget.lock"
	flock -w 10 8 || return 1
	failed=no
	for budget; do one "$budget" || failed=yes; done
	unit=$(unit_of "$(cat "$folder/owner" 2>/dev/null)")
	if [ -n "$unit" ] && is_there "$unit"; then
		printf 'busy\t\t%s\n' "$(head -n 1 "$folder/owner")"
	fi
	[ "$failed" = no ]
}

main "$@"
