#!/bin/sh
# The supervisor: a job on the target that activates a system, waits to be told that the host is
# still reachable and well, and only then makes it permanent; else it goes back to what was there.
# `results.sh`, `units.sh`, `host-facts.sh`, `specialisations.sh`, `failed-units.sh` and the six files
# `supervise-….sh` are put before it when nixdash is compiled.
#
# Run by systemd as the job itself and, with `after`, when the job has ended, however it ended: then
# it finishes what a supervisor that was killed left open.
#
# Options, each a word `name=value`: dir (the job's folder), toplevel (the system), action (switch,
# boot, test, dry-activate), ack (seconds to wait for the acknowledgement), check (seconds to wait for
# the end of the checks), settle and settle_network (seconds that the system must stay well, the
# second where the activation touched the network: the word may come so much later), activation
# (seconds that the activation may take), unit (this job's unit), owner (who does this, for a second
# operator), fetched (the root that the fetch made), recover (yes: restart the machine when it stays
# cut off), connectivity (gateway, or HOST:PORT: what must answer the host then), built_on (the machine
# that built the system), first (yes: no system runs there that it could go back to), specialisation
# (which one of the system is activated, where not the system itself), seen_running and seen_profile
# (what ran and what the profile was when the plan was made), rollback (no: the system is kept at once,
# and nothing is waited for), revision and flake (what the system was built from), generation (the
# number of the generation that the system is, to which the profile goes, or `any`: to one that it is, where
# there is one; without it the system becomes a new one), withdraws (the system that a run brought and that the
# host leaves by this), back (yes: the host goes back to what it was before its run), permanent (the system that
# is made permanent, where that is not the one that is activated: it was tried before the run), root (in tests:
# the folder below which the host lies), log (most of the log that is kept, in blocks of 512 bytes: it lies in
# memory), grace (seconds between TERM and KILL for an activation that takes too long).
#
# It reads from its folder: ack (somebody reached the host again), checked (the checks have ended), word
# (commit, or `abort CODE why`), and degraded (there where something was found wrong with the system that is kept).
# It leaves there: facts (what was there before), activated (exit code of the activation, what it
# means, and what is worth knowing) and outcome (a word, the code of the finding or nothing, and the
# reason, with tabs between). They are the truth about what happened. The codes are those of
# docs/findings.md.
# shellcheck disable=SC2034,SC2154 # what the files before it read and define

# Tells the outcome, gives the lock back and ends. $1 word, $2 code, $3 reason.
end() {
	say "outcome: $1${3:+, $3}"
	tell_outcome "$1" "$2" "$3"
	rm -f "$roots/before-running" "$roots/before-profile" "$roots/before-booted"
	case $1 in
	# The profile holds it now.
	switched | booted | needs-reboot | degraded)
		[ "$(readlink -f "$profiles/system")" != "$toplevel" ] || rm -f "$fetched" "$roots/fetched"
		;;
	# What failed stays, so that the next try need not fetch it again.
	*) [ -z "$fetched" ] || [ ! -L "$fetched" ] || mv -T "$fetched" "$roots/fetched" ;;
	esac
	rm -f "$root/run/nixdash/owner"
	exit 0
}

# $1 word, $2 code, $3 reason.
tell_outcome() {
	leave outcome "$(printf '%s\t%s\t%s' "$1" "$2" "$3")"
}

# Tells whether the machine is going down.
machine_stops() {
	[ "$(systemctl is-system-running 2>/dev/null)" = stopping ]
}

# Prints the system that a link leads to; nothing where there is none. $1 the link.
system_at() {
	[ ! -e "$1" ] || readlink -f "$1"
}

# Writes down what is there, and roots it.
note_facts() {
	# A list that is not whole would make units new that had failed before.
	{ failed_units >"$dir/failed" || rm -f "$dir/failed"; } 2>/dev/null 3>&- 9>&- &
	listing=$!
	running=$(system_at "$root/run/current-system")
	booted=$(system_at "$root/run/booted-system")
	generation=$(readlink "$profiles/system")
	profile=$(system_at "$profiles/system")
	etc=$(etc_source)
	boot=$(next_boot)
	wait "$listing"
	facts="$running|$booted|$generation|$profile|$etc|$boot|end"
	# A result has one page.
	[ "${#facts}" -lt 3800 ] && leave facts "$facts" || return 1
	root_system "$running" before-running &&
		root_system "$profile" before-profile &&
		root_system "$booted" before-booted
}

# Roots a system, where there is one. $1 the system, $2 what the root is called.
root_system() {
	[ -z "$1" ] || ln -sfn "$1" "$roots/$2"
}

# Reads the facts that a supervisor wrote down.
read_facts() {
	facts=$(result facts) || return 1
	case $facts in
	*'|end') ;;
	*) return 1 ;;
	esac
	saved_ifs=$IFS
	IFS='|'
	# shellcheck disable=SC2086 # split on purpose
	set -f -- $facts
	set +f
	IFS=$saved_ifs
	running=$1 booted=$2 generation=$3 profile=$4 etc=$5 boot=$6
}

# Waits for a file, or for a word. $1 its name, $2 seconds. Fails when nothing comes in time, or when
# this job is told to end.
wait_for() {
	# In tenths of a second.
	left=$(($2 * 10))
	# Before the first look: who comes after that wakes it.
	[ ! -p "$dir/wake-job" ] || command exec 4<>"$dir/wake-job"
	# The word has its file from the beginning; it is there when it can be read.
	until has word || { [ "$1" != word ] && [ -e "$dir/$1" ]; }; do
		if [ "$left" -le 0 ] || [ "$ending" = yes ]; then
			command exec 4>&-
			return 1
		fi
		wait_at wake-job
		left=$((left - waited))
	done
	command exec 4>&-
}

# Hears that the job shall end: at a shutdown at once, else when what runs now has ended.
# shellcheck disable=SC2317,SC2329 # called by the trap
told_to_end() {
	ending=yes
	machine_stops || return 0
	[ ! -e "$intents/intent" ] || return 0
	[ -z "$child" ] || kill -KILL "$child" 2>/dev/null
	exit 0
}

# Activates the system and judges what came of it; ends, goes back, or returns when it stays for now.
activate() {
	switch_to "$target" test
	now=$(system_at "$root/run/current-system")
	[ "$now" = "$running" ] || changed=yes
	# What cannot be read may have said anything.
	[ "$whole" = yes ] || [ "$code" = 0 ] || changed=yes
	if [ "$changed" = no ] && [ "$code" != 0 ] && [ "$now" != "$target" ]; then
		end_untouched
	fi
	case $code in
	124 | 137) go_back activation-failed "its activation took longer than $activation_limit s" ;;
	0 | 2 | 4) ;;
	*) go_back activation-failed "its activation exited with $code" ;;
	esac
	if [ "$now" != "$target" ]; then
		go_back activation-failed "its activation exited with $code, but the running system is $now"
	fi
	if [ "$whole" != yes ] && [ "$code" != 0 ]; then
		go_back activation-failed "its activation exited with $code, and what it printed could not be kept (is /run full?)"
	fi
	if [ "$script_failed" = yes ] || [ "$code" = 2 ]; then
		judge_snippets
	fi
}

# Ends after an activation that failed before it changed anything.
end_untouched() {
	leave activated "$code untouched"
	case $check in
	'' | switchInhibitors) ;;
	*) end failed pre-switch-failed "its pre-switch check '$check' failed, so nothing was changed; the log says what the check asks for" ;;
	esac
	if [ "$code" = 100 ] || [ "$check" = switchInhibitors ]; then
		case $(result word) in
		abort*) end failed run-stopped "it needs a reboot, nothing was changed, and the run was stopped" ;;
		esac
		[ "$action" = switch ] || end failed switch-inhibited "$the_new cannot be activated without a reboot, so nothing was changed"
		persist_and_end needs-reboot switch-inhibited "$the_new is installed and starts at the next reboot: it cannot be activated while the host runs" failed
	fi
	if [ "$locked" = yes ]; then
		end failed lock-held "another switch-to-configuration holds the lock$(lock_holder)"
	fi
	case $code in
	124 | 137) end failed activation-failed "its activation took longer than $activation_limit s and changed nothing" ;;
	*) end failed activation-failed "its activation exited with $code before anything was changed" ;;
	esac
}

# Decides about a system whose activation script failed. A snippet that fails in the running system
# too is no reason to refuse the new one; whether it does is seen by activating that one again.
judge_snippets() {
	failing=$snippets
	[ -n "$failing" ] || go_back activation-failed "its activation script failed (exit code $code)"
	said=$(last_words)
	# Snippets often begin what they say with their own name.
	said=${said#"$failing: "}
	why="its activation script failed in $failing${said:+: $said} (exit code $code)"
	# Nothing ran before in which it could fail too.
	[ -n "$running" ] || go_back snippet-failed "$why"
	first=$code
	if ! all_in "$failing" "$(known_snippets)"; then
		say "activating $the_old again, to see whether $failing fails there too"
		activate_running
		before=$snippets
		if [ "$whole" != yes ] || [ -n "$(what_differs)" ] || ! all_in "$failing" "$before"; then
			code=$first
			go_back snippet-failed "$why"
		fi
		switch_to "$target" test
		now=$(system_at "$root/run/current-system")
		if [ "$now" != "$target" ] || [ "$whole" != yes ] || ! all_in "$snippets" "$before"; then
			go_back snippet-failed "$why"
		fi
		case $code in
		0 | 2 | 4) ;;
		*) go_back activation-failed "its activation exited with $code" ;;
		esac
	fi
	[ "$code" != 2 ] || code=0
	say "these snippets of the activation script fail in this system and in the previous one: $failing"
	failing_before=$failing
}

# Prints the snippets that failed when the running system was activated.
known_snippets() {
	[ -r "$intents/failing-snippets" ] || return
	sed -n "s|^$running	||p" "$intents/failing-snippets" | head -n 1
}

# Remembers which snippets of the new system fail, for the next deploy.
remember_snippets() {
	if [ -z "$failing_before" ]; then
		rm -f "$intents/failing-snippets"
		return
	fi
	# A memory that cannot be kept costs the next deploy two activations.
	printf '%s\t%s\n' "$target" "$failing_before" >"$intents/failing-snippets"
}

# Tells whether every word of $1 is one of $2.
all_in() {
	for one in $1; do
		case " $2 " in
		*" $one "*) ;;
		*) return 1 ;;
		esac
	done
}

# Prints what is worth knowing of the activation, as words for the result.
remarks() {
	[ "$network" = no ] || printf ' network'
	for one in $failing_before; do printf ' snippet=%s' "$one"; done
	for one in $users; do printf ' user=%s' "$one"; done
}

# The job itself.
supervise() {
	if ! open_output || ! take_lock; then
		tell_outcome failed write-failed "the supervisor could not begin: nothing can be written below /run/nixdash or /nix"
		exit 0
	fi
	trap told_to_end TERM
	if ! note_facts; then
		end failed write-failed "the current systems could not be kept from garbage collection (is /nix full?), so nothing was begun"
	fi
	if [ -z "$running" ] && [ "$first" != yes ]; then
		end failed not-nixos "no system of NixOS runs there that it could go back to, so nothing was begun"
	fi
	end_if_changed_since_the_plan
	# What is only booted later starts as the system itself.
	[ -n "$target" ] || [ "$action" != boot ] || target=$toplevel
	if [ -z "$target" ]; then
		end failed specialisation-missing "the host runs the specialisation $specialisation, which $the_new does not have, so nothing was begun; --without-specialisation activates the system itself"
	fi
	connected=no
	[ "$recover" != yes ] || ! is_connected || connected=yes
	case $action in
	dry-activate)
		switch_to "$target" dry-activate
		leave activated "$code dry"
		[ "$code" != 0 ] || end dry "" ""
		end failed activation-failed "switch-to-configuration dry-activate exited with $code"
		;;
	boot)
		leave activated "0 boot"
		persist_and_end booted "" "" failed
		;;
	esac
	activate
	# Its checks passed a moment ago.
	no_check=NIXOS_NO_CHECK=1
	leave activated "$code ok$(remarks)"
	[ "$action" = 'test' ] || write_ahead
	[ "$rollback" = yes ] || keep_at_once
	wait_for ack "$ack_limit" || give_up network-lost "nobody reached the host within $ack_limit s of its activation"
	wait_for checked "$check_limit" || give_up confirmation-missing "the checks did not end within $check_limit s"
	# A network that breaks late is noticed soon: the word is due when the time to settle is over.
	[ "$network" = no ] || settle=$settle_network
	word_limit=$((settle + ack_limit))
	wait_for word "$word_limit" || give_up confirmation-missing "no order to keep $the_new came within $word_limit s after the checks"
	obey "$(result word)"
}

# Lets the disk take the new system while somebody is waited for: what makes it permanent waits for the disk
# before it changes anything, and finds that done. Nothing depends on it.
write_ahead() {
	(exec sync -f "$intents" 3>&- 9>&-) >/dev/null 2>&1 </dev/null &
}

# Keeps the system without waiting for anybody, as hosts.toml asks for, and ends.
keep_at_once() {
	case $(result word) in
	abort*) obey "$(result word)" ;;
	esac
	say "nobody is waited for (magic_rollback = false): $the_new is kept"
	leave word commit
	if [ "$code" = 4 ]; then
		failing_units=units-failed units_said="units failed during the activation"
		# What makes the system permanent reads anew whose units failed.
		if [ -n "$users" ]; then
			failing_units=user-units-failed
			units_said="units of $users failed during the activation; see \`systemctl --user --failed\` there as that user"
		fi
	fi
	obey commit
}

# Goes back since what was waited for did not come. $1 the code and $2 the reason when the time was over.
give_up() {
	[ "$ending" = no ] || go_back job-ended "its supervisor was told to end"
	go_back "$1" "$2"
}

# Does what the word says. $1 the word.
obey() {
	said=${1#abort }
	case $1 in
	commit) ;;
	'abort '*) go_back "${said%% *}" "${said#* }" ;;
	*) go_back confirmation-missing "the order after the checks was not understood" ;;
	esac
	if [ "$(system_at "$root/run/current-system")" = "$running" ] && [ "$running" != "$target" ]; then
		end superseded superseded "somebody switched it back to $running meanwhile, so nothing was made permanent"
	fi
	remember_snippets
	# Whoever builds this host next can tell that one to let go of what it keeps.
	[ -z "$built_on" ] || printf '%s\n' "$built_on" >"$intents/built-on"
	if [ "$action" = 'test' ]; then
		end_if_superseded keep
		remember_revision
		[ -z "$failing_units" ] || end degraded "$failing_units" "$units_said"
		end tested "" ""
	fi
	if [ -n "$failing_units" ]; then
		persist_and_end degraded "$failing_units" "$units_said" degraded
	fi
	persist_and_end switched "" "" degraded
}

# What is left to do when the job has ended, however it ended.
after() {
	if has outcome || machine_stops; then exit 0; fi
	say "the supervisor ended before its work was done (${SERVICE_RESULT:-unknown})"
	if ! read_facts; then
		tell_outcome failed job-ended "its supervisor was ended before it began"
		exit 0
	fi
	open_output || exec 3>/dev/null
	command exec 9>>"$root/run/nixdash/lock"
	flock -w 30 9
	connected=no
	offset=0
	# Not one of the marks that stand in the log already.
	stage=100
	read_output
	now=$(system_at "$root/run/current-system")
	goes_back=no
	case $(result activated) in *' back'*) goes_back=yes ;; esac
	kept=no
	if [ "$(result word)" = commit ] && [ "$goes_back" = no ] && [ "$now" = "$target" ]; then kept=yes; fi
	if [ "$kept" = yes ] || [ "$action" = boot ]; then
		say "$the_new is to be kept: going on with that"
		case $action in
		boot) persist_and_end booted "" "" failed ;;
		*) obey commit ;;
		esac
	fi
	if [ "$action" = dry-activate ]; then
		end failed job-ended "its supervisor was ended"
	fi
	if [ -e "$intents/intent" ] && [ "$now" = "$running" ] && [ "$goes_back" = no ]; then
		persist_and_end needs-reboot switch-inhibited "$the_new is installed and starts at the next reboot: it cannot be activated while the host runs" failed
	fi
	if [ "$changed" = no ] && [ "$now" = "$running" ] && [ "$(etc_source)" = "$etc" ]; then
		end failed job-ended "its supervisor was ended before anything was changed"
	fi
	go_back job-ended "its supervisor was ended (${SERVICE_RESULT:-unknown})"
}

main() {
	root='' mode=supervise fetched='' first=no recover=no connectivity=gateway unit='' owner='' built_on='' log_blocks=16384 grace=15
	specialisation='' seen_running='' seen_profile='' rollback=yes revision='' flake='' to_generation='' withdraws='' back=no permanent='' failing_units=''
	for option; do
		value=${option#*=}
		case $option in
		after) mode=after ;;
		root=*) root=$value ;;
		dir=*) dir=$value ;;
		toplevel=*) toplevel=$value ;;
		action=*) action=$value ;;
		ack=*) ack_limit=$value ;;
		check=*) check_limit=$value ;;
		settle=*) settle=$value ;;
		settle_network=*) settle_network=$value ;;
		activation=*) activation_limit=$value ;;
		unit=*) unit=$value ;;
		owner=*) owner=$value ;;
		fetched=*) fetched=$value ;;
		recover=*) recover=$value ;;
		connectivity=*) connectivity=$value ;;
		built_on=*) built_on=$value ;;
		first=*) first=$value ;;
		specialisation=*) specialisation=$value ;;
		seen_running=*) seen_running=$value ;;
		seen_profile=*) seen_profile=$value ;;
		rollback=*) rollback=$value ;;
		revision=*) revision=$value ;;
		flake=*) flake=$value ;;
		generation=*) to_generation=$value ;;
		back=*) back=$value ;;
		permanent=*) permanent=$value ;;
		withdraws=*) withdraws=$value ;;
		log=*) log_blocks=$value ;;
		grace=*) grace=$value ;;
		esac
	done
	profiles=$root/nix/var/nix/profiles
	roots=$root/nix/var/nix/gcroots/nixdash
	intents=$root/nix/var/nixdash
	[ -n "$permanent" ] || permanent=$toplevel
	# What the two systems are called: who goes back leaves the one that the run brought.
	the_new="the new system" the_old="the previous system"
	[ "$back" = no ] || the_new="the previous system" the_old="the system that this run brought"
	# What runs when it is activated: the system or, where the host runs one, its specialisation.
	target=$toplevel
	[ -z "$specialisation" ] || target=$(readlink -e "$toplevel/specialisation/$specialisation")
	stage=0 child='' draining='' ending=no failing_before='' code='' no_check=''
	case $mode in
	after) after ;;
	*) supervise ;;
	esac
}

main "$@"
