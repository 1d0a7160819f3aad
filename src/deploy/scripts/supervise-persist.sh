# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what the supervisor's other files define, and read
# How the supervisor makes a system permanent, and undoes that. Put before `supervise.sh` when nixdash
# is compiled.

# Writes down what is begun, so that a power cut in the middle can be put right. $1 set or boot.
intend() {
	# A field is never empty: who reads it splits at tabs. The system that shall run may not be the one that is made
	# permanent; it has a line of its own, since an older nixdash would take it for a part of the field before it.
	printf '%s\t%s\t%s\t%s\nruns\t%s\n' "$1" "${generation:-none}" "${profile:-none}" "$permanent" "${target:-none}" \
		>"$intents/intent.new" &&
		[ -s "$intents/intent.new" ] && sync -f "$intents/intent.new" &&
		mv "$intents/intent.new" "$intents/intent" && sync "$intents"
}

# Makes the system the newest generation and what boots; undoes both when the boot loader refuses.
# Fails with `finding` (the code) and `reason`; succeeds with `pinned` when something else boots all
# the same.
persist() {
	pinned='' ran=''
	finding="write-failed"
	# Before the disk is waited for, so that a power cut does not lose it: what a system was built from, and that
	# somebody wanted to leave another one, are so whatever becomes of this.
	remember_revision
	[ -z "$withdraws" ] || mark_system "$withdraws" withdrawn
	if ! intend 'set'; then
		reason="the note of what this deploy begins could not be written below /nix/var (is /nix full?), so the profile was left alone"
		rm -f "$intents/intent.new"
		return 1
	fi
	newest=$(newest_generation)
	# That waited for the disk: somebody else may have set the profile meanwhile.
	if [ "$(readlink "$profiles/system")" != "$generation" ] && [ "$(system_at "$profiles/system")" != "$permanent" ]; then
		rm -f "$intents/intent"
		end_if_superseded keep
	fi
	if ! set_profile_to_new; then
		# Two that set the profile at once hinder each other: one fails, and the profile is the other's.
		others=$(profile_after_persist)
		if [ -n "$others" ] && [ "$(readlink "$profiles/system")" != "$generation" ] && [ -n "$(system_at "$profiles/system")" ]; then
			rm -f "$intents/intent"
			end superseded superseded "somebody else deployed while $the_new was made permanent: $others; $reason"
		fi
		put_profile_back
		return 1
	fi
	end_if_set_over "$newest"
	if ! intend boot; then
		reason="the note of what this deploy begins could not be written below /nix/var (is /nix full?)"
		put_profile_back
		return 1
	fi
	ran=$(system_at "$root/run/current-system")
	switch_to "$permanent" boot "$no_check"
	if [ "$code" != 0 ] && [ "$locked" = yes ] && others_changed_nothing "$ran"; then
		switch_to "$permanent" boot "$no_check"
	fi
	if [ "$code" != 0 ]; then
		finding="boot-menu-failed"
		reason="switch-to-configuration boot exited with $code"
		# What somebody else set while the boot menu was written is theirs, and so is its boot menu.
		[ -n "$(profile_after_persist)" ] || leave_profile_to_others || undo_persist
		# Only now: a power cut before this is put right by what is written down.
		close_intent
		return 1
	fi
	rm -f "$intents/intent"
	boots=$(next_boot)
	system=${boots%%	*}
	pin=${boots#*	}
	! boots_as_pinned_before || return 0
	case $boots in
	'') ;;
	"$permanent	"*'no tries left'*) pinned="the next boot may start another system; $pin" ;;
	"$permanent	"*) ;;
	*) pinned="the next boot starts $system${pin:+ because of $pin}" ;;
	esac
	return 0
}

# Tells whether a host that goes back boots what a pinned default has started since before its run: neither what
# the run brought nor what this deploy made permanent.
boots_as_pinned_before() {
	if [ "$back" = no ] || [ -z "$pin" ] || [ "$boots" != "$boot" ]; then return 1; fi
	case $system in
	"$permanent" | "$running" | "$profile") return 1 ;;
	esac
	say "the next boot starts $system because of $pin, as before"
}

# Waits for another switch-to-configuration to end, for as long as an activation may take, and succeeds where it
# left the host and the profile as they were. $1 the system that ran before.
others_changed_nothing() {
	say "another switch-to-configuration holds the lock$(lock_holder); it is waited for"
	waiting=$((activation_limit / 2 + 1))
	until is_switch_free; do
		waiting=$((waiting - 1))
		if [ "$waiting" -le 0 ] || [ "$ending" = yes ]; then return 1; fi
	done
	[ "$(system_at "$root/run/current-system")" = "$1" ] && [ -z "$(profile_after_persist)" ]
}

# Tells whether nobody holds the lock of switch-to-configuration; waits for that for two seconds.
is_switch_free() {
	switch_lock=$root/run/nixos/switch-to-configuration.lock
	[ ! -e "$switch_lock" ] || flock --shared -w 2 "$switch_lock" true
}

# Prints the number of the generation that the profile goes to; nothing where the system becomes a new one.
wanted_generation() {
	if [ "$to_generation" != any ]; then
		echo "$to_generation"
		return
	fi
	if [ "$(system_at "$profiles/system")" = "$permanent" ]; then
		number=$(readlink "$profiles/system")
		number=${number#system-}
		number=${number%-link}
	else
		number=$(newest_generation "$permanent")
	fi
	case $number in
	'' | 0 | *[!0-9]*) ;;
	*) echo "$number" ;;
	esac
}

# Lets the profile name the system: as a new generation, or by going to the one that was asked for,
# which must be that system. Fails with `reason`.
set_profile_to_new() {
	to_generation=$(wanted_generation)
	if [ -z "$to_generation" ]; then
		set_profile --set "$permanent" && return
		reason="the profile could not be set ($(why_not_set))"
		return 1
	fi
	if [ "$(readlink -f "$profiles/system-$to_generation-link")" != "$permanent" ]; then
		reason="generation $to_generation is not $permanent any more, so the profile was left alone"
		return 1
	fi
	set_profile --switch-generation "$to_generation" && return
	reason="the profile could not be switched to generation $to_generation ($(why_not_set))"
	return 1
}

# Prints what may have kept nix-env from setting the profile.
why_not_set() {
	if command -v nix-env >/dev/null 2>&1; then echo "is /nix full?"; else echo "there is no nix-env here"; fi
}

# Makes the profile and the boot menu what they were, and adds to `reason` what boots next.
undo_persist() {
	restore_profile
	write_previous_boot_menu
	boots=$(next_boot)
	case $boots,$code in
	,0) reason="$reason; $the_old is the boot default" ;;
	,*) reason="$reason; it is not known what boots next: fix the boot menu before you restart the host" ;;
	*) reason="$reason; the next boot starts ${boots%%	*}" ;;
	esac
}

# Writes the boot menu of the system that the profile was before. Sets `code`, and adds to `reason`.
write_previous_boot_menu() {
	if [ -z "$profile" ]; then
		code=1
		reason="$reason; there was no previous system whose boot menu could be restored"
		return
	fi
	switch_to "$profile" boot NIXOS_NO_CHECK=1
	[ "$code" = 0 ] || reason="$reason; writing the boot menu of $the_old exited with $code too"
}

# Runs nix-env on the system profile, within the limit of an activation. $1, $2 what it shall do.
set_profile() {
	timeout -k "$grace" "$activation_limit" nix-env --profile "$profiles/system" "$1" "$2" \
		</dev/null >&3 2>&1 3>&- 9>&-
}

# Makes the profile what it was, where nothing else was begun.
put_profile_back() {
	[ -n "$(profile_after_persist)" ] || restore_profile
	close_intent
}

# Forgets what was begun when the profile is what it was, or what somebody else made of it. Else says so
# in `reason`, and what is begun stays written down: the next look at the host puts it right.
close_intent() {
	others=$(profile_after_persist)
	if [ "$(readlink "$profiles/system")" = "$generation" ]; then
		rm -f "$intents/intent"
	elif [ -n "$others" ]; then
		rm -f "$intents/intent"
		reason="$reason; somebody else deployed meanwhile: $others; their profile and the boot menu were left as they are"
	else
		reason="$reason; the profile could not be put back: it is $(readlink "$profiles/system")"
	fi
}

restore_profile() {
	[ "$(readlink "$profiles/system")" != "$generation" ] || return 0
	if [ -z "$profile" ]; then
		# nix-env cannot leave a profile without a generation.
		made=$(readlink "$profiles/system")
		rm -f "$profiles/system"
		case $made in system-*-link) rm -f "$profiles/$made" ;; esac
		return
	fi
	number=${generation#system-}
	number=${number%-link}
	case $number in
	'' | *[!0-9]*) set_profile --set "$profile" ;;
	*) set_profile --switch-generation "$number" ;;
	esac
}

# Marks the system that runs now as failed where something is wrong with it, and else as well. Where systemd does not
# say which units failed, an earlier mark stays.
mark_as_found() {
	found=failed
	# Whoever gives the order looked at more than units; a nixdash from before this file says nothing.
	if [ ! -e "$dir/degraded" ]; then
		newly=$(newly_failed) || return 0
		[ -n "$newly" ] || found=''
	fi
	mark_new "$found"
}

# Persists and ends. $1 the outcome when that works, $2 its code, $3 its reason, $4 the outcome when it
# does not.
persist_and_end() {
	end_if_superseded keep
	if ! persist; then
		others=$(running_of_others)
		# A system that runs no more was not kept by whoever switched the host back meanwhile.
		[ -n "$others" ] || [ -z "$ran" ] || [ "$(system_at "$root/run/current-system")" = "$ran" ] ||
			others="it was switched back to $(system_at "$root/run/current-system")"
		[ -z "$others" ] || end superseded superseded "somebody else deployed while $the_new was made permanent: $others; $reason"
		mark_new failed
		case $4 in
		degraded) end degraded "$finding" "it runs $the_new, but $reason" ;;
		*) end "$4" "$finding" "$reason" ;;
		esac
	fi
	# The boot menu takes its time: somebody else may have deployed while it was written.
	others=$(running_of_others)
	[ -n "$others" ] || others=$(profile_after_persist)
	[ -z "$others" ] || end superseded superseded "somebody else deployed while $the_new was made permanent: $others; look at what boots next"
	case $1 in
	degraded) mark_new failed ;;
	switched) mark_as_found ;;
	# What starts later has not shown yet that it does well now.
	*) has_failed || mark_new '' ;;
	esac
	[ -z "$pinned" ] || end degraded boot-default-pinned "$pinned"
	end "$1" "$2" "$3"
}

