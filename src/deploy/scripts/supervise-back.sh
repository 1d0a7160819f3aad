# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what the supervisor's other files define, and read
# The supervisor's way back to the system that ran before. Put before `supervise.sh` when nixdash is
# compiled.

# Returns to the system that ran before, says how the host stands then, and ends. $1 the code, $2 the
# reason.
go_back() {
	end_if_superseded back
	[ -n "$running" ] || stay "$2"
	say "going back to $running: $2"
	# Whoever reaches the host from now on reaches it on its way back.
	leave activated "${code:-0} back"
	activate_running
	theirs=$(profile_of_others)
	stands=$(what_differs)
	case $stands,$theirs in
	,?*)
		word=superseded
		finding=superseded
		said="$2; it runs $the_old again, and what somebody else set meanwhile was left alone: $theirs"
		;;
	,)
		word=rolled-back
		finding=$1
		failed=$(newly_failed)
		said="$2${failed:+; units that failed meanwhile: $failed}"
		;;
	*)
		word=stuck
		finding="system-unexpected"
		said="$2; after going back, not all is as it was: ${stands%; }"
		;;
	esac
	tell_outcome "$word" "$finding" "$said"
	rm -f "$dir/heard"
	restart_when_cut_off "$finding" "$said"
	end "$word" "$finding" "$said"
}

# Ends a first deploy that was not confirmed: no system ran before, so there is no way back, and what
# its activation did stays until the machine restarts. Nothing was made permanent. $1 the reason.
stay() {
	say "no system ran here before, so there is nothing to go back to: $1"
	leave activated "${code:-0} back"
	now=$(system_at "$root/run/current-system")
	boots=$(next_boot)
	next=${boots%%	*}
	end stuck no-way-back "$1; no system of NixOS ran there before, so there is nothing to go back to: the host runs ${now:-none}, which was not made permanent, until its next restart, and that starts ${next:-what it started before}"
}

# Activates the system that ran before. Sets `code`, `snippets` and the rest.
activate_running() {
	# Its activation mounts /etc again only where another system is the current one.
	if is_etc_overlay; then
		ln -sfn "$target" "$root/run/current-system.new" &&
			mv -T "$root/run/current-system.new" "$root/run/current-system"
	fi
	turns=30
	while :; do
		# Who held the lock may have deployed.
		end_if_superseded back
		switch_to "$running" test NIXOS_NO_CHECK=1
		if [ "$locked" = no ] || [ "$changed" = yes ] || [ "$turns" = 0 ]; then break; fi
		[ "$turns" -lt 30 ] || say "another switch-to-configuration holds the lock$(lock_holder)"
		turns=$((turns - 1))
		sleep 2
	done
}

# Prints in words what is not as it was before the activation, after the system that ran before was activated
# again; nothing when all of it is. An activation that was cut off or failed may have left units stopped, which
# the links do not show.
what_differs() {
	case $code in
	0 | 2 | 4) ;;
	124 | 137) printf 'activating %s again took longer than %s s; ' "$the_old" "$activation_limit" ;;
	*) printf 'activating %s again exited with %s; ' "$the_old" "$code" ;;
	esac
	now=$(readlink -f "$root/run/current-system")
	[ "$now" = "$running" ] || printf 'it runs %s; ' "$now"
	here=$(etc_source)
	[ "$here" = "$etc" ] || printf '/etc is from %s, not from %s; ' "$here" "$etc"
	# What somebody else made permanent is told apart.
	[ -z "$(profile_of_others)" ] || return
	held=$(readlink "$profiles/system")
	[ "$held" = "$generation" ] || printf 'the profile is %s, not %s; ' "$held" "$generation"
	boots=$(next_boot)
	[ "$boots" = "$boot" ] || printf 'the next boot starts %s; ' "${boots%%	*}"
}

# Prints the units that failed since before the activation. Fails where that is not known: systemd did not say
# which units had failed then, or does not say which have now.
newly_failed() {
	[ -r "$dir/failed" ] || return 1
	failed_now=$(failed_units) || return 1
	printf '%s\n' "$failed_now" | while read -r unit_name; do
		[ -z "$unit_name" ] || grep -qxF -- "$unit_name" "$dir/failed" || printf '%s ' "$unit_name"
	done
}

# Restarts the machine when nobody reaches it after it went back, and only if a test that passed
# before fails now, nothing was made permanent, and it can start without anybody. $1 the code,
# $2 the reason.
restart_when_cut_off() {
	if [ "$recover" != yes ] || [ "$connected" != yes ]; then return 0; fi
	seconds=$ack_limit
	until [ -e "$dir/heard" ]; do
		[ "$seconds" -gt 0 ] || break
		seconds=$((seconds - 1))
		sleep 1
	done
	[ ! -e "$dir/heard" ] || return 0
	if is_connected; then
		say "nobody reached this host, but $connectivity answers: this host is not restarted"
		return 0
	fi
	if [ -n "$(running_of_others)" ] || [ -n "$theirs" ] || [ -e "$intents/intent" ]; then return 0; fi
	if asks_for_a_passphrase; then
		say "this host is not restarted: its root disk may ask for a passphrase"
		return 0
	fi
	say "nobody reached this host within $ack_limit s, and $connectivity does not answer: restarting"
	tell_outcome rolled-back "$1" "$2; the host stayed cut off, so it was restarted"
	# Nobody can reach whoever keeps it from going down, either.
	systemctl reboot --ignore-inhibitors || systemctl start --no-block --job-mode=replace-irreversibly reboot.target
}

# Tells whether what was named answers this host.
is_connected() {
	case $connectivity in
	gateway)
		gateway=$({ ip route show default && ip -6 route show default; } 2>/dev/null | sed -n 's/.* via \([^ ]*\).*/\1/p' | head -n 1)
		[ -n "$gateway" ] && timeout 5 ping -c 1 -W 2 "$gateway" >/dev/null 2>&1
		;;
	*)
		# shellcheck disable=SC2016 # for the other shell
		timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "${connectivity%:*}" "${connectivity##*:}" 2>/dev/null
		;;
	esac
}

# Tells whether a disk may want a passphrase at a start; what cannot be known counts as yes.
asks_for_a_passphrase() {
	types=$(lsblk -no TYPE 2>/dev/null) || return 0
	case $types in *crypt*) return 0 ;; esac
	for place in "$root/" "$root/nix"; do
		type=$(findmnt -nro FSTYPE --target "$place") || return 0
		source=$(findmnt -nro SOURCE --target "$place")
		case $type in
		bcachefs) return 0 ;;
		zfs) [ "$(zfs get -H -o value encryption "$source" 2>/dev/null)" = off ] || return 0 ;;
		esac
	done
	return 1
}

