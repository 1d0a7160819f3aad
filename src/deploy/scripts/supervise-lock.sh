# shellcheck shell=sh
# shellcheck disable=SC2154 # what the supervisor's other files define
# The lock of a host, which one deploy holds at a time, and the note that says whose it is. Put before
# `supervise.sh` when nixdash is compiled.

# Takes the lock, which nobody but root can hold, or ends. The lock is held by the process and,
# when that died, for as long as its unit is there: something may still be going back.
take_lock() {
	mkdir -p "$root/run/nixdash" "$roots" "$intents" || return 1
	(umask 077 && : >>"$root/run/nixdash/lock") || return 1
	# The folder becomes 700, and the file 600.
	chmod u=rwX,go= "$root/run/nixdash" "$root/run/nixdash/lock" || return 1
	command exec 9>>"$root/run/nixdash/lock" || return 1
	holder=''
	read_holder
	# A look before a deploy holds it for a moment.
	flock -w 5 9 || end_locked
	read_holder
	before=''
	if [ "$held" != "$unit" ] && is_there "$held"; then
		# Who has a name there yet was killed, and its unit finishes what it left.
		[ ! -e "$root/run/nixdash/owner" ] || end_locked
		before=$held
	fi
	write_holder || return 1
	# Who gave the lock back has removed its name and only has to end, so that is waited for.
	turns=50
	while is_there "$before"; do
		if [ "$turns" = 0 ]; then
			rm -f "$root/run/nixdash/owner"
			end_locked
		fi
		turns=$((turns - 1))
		sleep 0.1
	done
}

# Writes down that this supervisor holds the lock, and until when at most.
write_holder() {
	now=$(date +%s)
	# Activating, going back, somebody else's switch, and everything that is waited for.
	until=$((now + 4 * activation_limit + 2 * ack_limit + check_limit + settle_network + 120))
	printf '%s unit=%s dir=%s since=%s until=%s\n' "$owner" "$unit" "$dir" "$now" "$until" \
		>"$root/run/nixdash/owner.new" && mv "$root/run/nixdash/owner.new" "$root/run/nixdash/owner"
}

# Reads who holds the lock. What was read stays where the name was removed meanwhile. Sets `holder` and
# `held`, its unit.
read_holder() {
	read_now=''
	if [ -e "$root/run/nixdash/owner" ]; then read_now=$(cat "$root/run/nixdash/owner" 2>/dev/null); fi
	holder=${read_now:-$holder}
	held=$(unit_of "$holder")
}

# Ends since somebody else has the lock, and says who.
end_locked() {
	read_holder
	tell_outcome locked lock-held "$holder"
	exit 0
}
