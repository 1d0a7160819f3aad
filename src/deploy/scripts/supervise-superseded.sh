# shellcheck shell=sh
# shellcheck disable=SC2154 # what the supervisor's other files define
# How the supervisor sees that somebody else deployed to the host meanwhile (a nixos-rebuild by hand,
# another tool): what they made of the host is theirs, so it ends and touches nothing. Put before
# `supervise.sh` when nixdash is compiled.

# Ends when somebody else activated a system or, where the new one is to be kept, set the profile. On
# the way back another profile is no reason to stay on a system that nobody confirmed. $1 what is to be
# done: keep or back.
end_if_superseded() {
	others=$(running_of_others)
	if [ -z "$others" ] && [ "$1" = keep ] && [ "$(system_at "$profiles/system")" != "$permanent" ]; then
		others=$(profile_of_others)
		[ -z "$others" ] || others="$others; it runs $the_new until it is restarted"
	fi
	[ -z "$others" ] || end superseded superseded "somebody else deployed meanwhile: $others; nothing more was done"
}

# Prints in words what somebody else activated; nothing where the system before or the new one runs.
running_of_others() {
	here=$(system_at "$root/run/current-system")
	case $here in
	"$running" | "$target") ;;
	*) printf 'it runs %s, which is neither the system before (%s) nor the new one' "${here:-nothing}" "${running:-none}" ;;
	esac
}

# Prints in words what somebody else made of the profile; nothing where it is as it was, or where this
# deploy has begun to set it.
profile_of_others() {
	set_link=$(readlink "$profiles/system")
	if [ "$set_link" = "$generation" ] || [ -e "$intents/intent" ]; then return 0; fi
	printf 'its profile is %s, and was %s' "${set_link:-none}" "${generation:-none}"
}

# Prints in words what the profile is after this deploy set it; nothing where it is what it was set to.
profile_after_persist() {
	set_system=$(system_at "$profiles/system")
	[ "$set_system" = "$permanent" ] || printf 'its profile is %s, and was set to %s' "${set_system:-none}" "$permanent"
}

# Prints the number of the newest generation of the system profile, of those that are the system $1 where that
# is given; 0 where it has none.
newest_generation() {
	newest_number=0
	for generation_link in "$profiles"/system-*-link; do
		number=${generation_link##*/system-}
		number=${number%-link}
		case $number in
		'' | *[!0-9]*) ;;
		*)
			[ "$number" -gt "$newest_number" ] || continue
			[ -z "$1" ] || [ "$(readlink -f "$generation_link")" = "$1" ] || continue
			newest_number=$number
			;;
		esac
	done
	echo "$newest_number"
}

# Lets the profile name the system that somebody else activated and made the boot default while this deploy
# made its own permanent, and succeeds; fails where nobody did. They may have set the profile to a generation
# that was there before, which leaves no trace when this deploy sets it a moment later.
leave_profile_to_others() {
	[ -n "$(running_of_others)" ] || return 1
	here=$(system_at "$root/run/current-system")
	[ -n "$here" ] || return 1
	boots=$(next_boot)
	[ "${boots%%	*}" = "$here" ] || return 1
	theirs=$(newest_generation "$here")
	[ "$theirs" != 0 ] && set_profile --switch-generation "$theirs"
}

# Ends when somebody else set the profile in the moment before this deploy did, which the look before that
# could not see: a generation came that is not this deploy's. The profile is made theirs again. $1 the newest
# generation at that look.
end_if_set_over() {
	# Who set it after this deploy is seen later.
	[ "$(system_at "$profiles/system")" = "$permanent" ] || return 0
	theirs=$(newest_generation)
	while [ "$theirs" -gt "$1" ]; do
		their_system=$(system_at "$profiles/system-$theirs-link")
		[ -z "$their_system" ] || [ "$their_system" = "$permanent" ] || break
		theirs=$((theirs - 1))
	done
	[ "$theirs" -gt "$1" ] || return 0
	if set_profile --switch-generation "$theirs"; then
		rm -f "$intents/intent"
		others="its profile is $their_system again, which they set a moment before this deploy set its own"
	else
		others="they set its profile to $their_system a moment before this deploy set its own, and it could not be set to theirs again"
	fi
	end superseded superseded "somebody else deployed while $the_new was made permanent: $others; look at what boots next"
}

# Ends when the host is not any more what it was when the plan was made. Nothing was begun yet. What
# somebody else made of it is no reason to end where it is the very system that is asked for.
end_if_changed_since_the_plan() {
	meanwhile=no
	if [ -n "$seen_running" ] && [ "$seen_running" != "$running" ]; then
		meanwhile=yes
		[ "$running" = "$target" ] ||
			end superseded superseded "somebody else deployed since the plan was made: it ran $seen_running and runs ${running:-nothing} now; nothing was begun"
	fi
	if [ -n "$seen_profile" ] && [ "$seen_profile" != "$profile" ]; then
		meanwhile=yes
		[ "$profile" = "$permanent" ] ||
			end superseded superseded "somebody else deployed since the plan was made: its profile was $seen_profile and is ${profile:-none} now; nothing was begun"
	fi
	[ "$meanwhile" = no ] || end_if_nothing_is_left
}

# Ends where somebody else has brought what is asked for since the plan was made, so that nothing is left
# to do. The word is the one for a deploy that is done, which every nixdash knows; the code says that it
# was not this one that did it. Where anything is missing yet, this one goes on, and activates what runs
# already.
end_if_nothing_is_left() {
	case $action in
	switch)
		[ "$running" = "$target" ] || return 0
		done_word=switched
		;;
	boot) done_word=booted ;;
	*) return 0 ;;
	esac
	[ "$profile" = "$permanent" ] && [ "$boot" = "$permanent	" ] || return 0
	end "$done_word" superseded "somebody else has deployed this very system since the plan was made, so nothing was left to do"
}
