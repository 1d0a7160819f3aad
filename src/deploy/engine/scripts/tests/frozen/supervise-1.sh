# shellcheck shell=sh
# shellcheck disable=SC2154 # `dir` is set by the script that this is put before.
# The results of a job. Each is one line in a file that was made, with a page of blanks, when the job
# was started: it is written in place, so that a full disk cannot stop it. A line counts only with
# its end mark, so a line that is half there is none. Put before the scripts that need it when
# nixdash is compiled. `dir` is the job's folder.

# Makes an empty result. $1 its name.
prepare_result() {
	# A page is there or not, and the shell says so.
	printf '%4095s\n' '' >"$dir/$1"
}

# Writes a result. $1 its name, $2 the text.
leave() {
	printf '%.3900s\t.\n' "$2" 1<>"$dir/$1"
}

# Prints a result and succeeds, or fails when there is none yet. $1 its name.
result() {
	[ -e "$dir/$1" ] || return 1
	IFS= read -r line <"$dir/$1" || return 1
	case $line in
	*'	.') printf '%s\n' "${line%	.}" ;;
	*) return 1 ;;
	esac
}

# Tells whether there is a result. $1 its name.
has() {
	result "$1" >/dev/null
}

# shellcheck shell=sh
# Whether a unit is there. Put before the scripts that need it when nixdash is compiled.

# Tells whether a unit runs, or is being ended. $1 its name. A systemd that does not answer (it is
# executed anew by many an activation) says nothing of the unit: then it counts as there.
is_there() {
	[ -n "$1" ] || return 1
	state=$(systemctl show --property=ActiveState --value "$1" 2>/dev/null) || return 0
	case $state in
	inactive | failed | '') return 1 ;;
	*) return 0 ;;
	esac
}

# shellcheck shell=sh
# shellcheck disable=SC2154 # `root` is set by the script that this is put before.
# What a NixOS host is now: where its /etc comes from, which units failed, what it boots next.
# Put before the scripts that need it when nixdash is compiled. `root` is the folder below which the
# host lies: empty on a host, a folder in tests.

# Prints where /etc comes from: the system's tree of links or, with `system.etc.overlay`, the layers
# of the mount.
etc_source() {
	if ! is_etc_overlay; then
		readlink -f "$root/etc/static"
		return
	fi
	findmnt -nro OPTIONS --mountpoint "$root/etc" | tr ',' '\n' |
		sed -n -e 's/^lowerdir=//p' -e 's/^lowerdir+=//p' | tr ':' '\n' |
		while read -r layer; do
			[ -n "$layer" ] || continue
			# The layer of names is a mount of its own, in a folder with a random name.
			source=$(findmnt -nro SOURCE --mountpoint "$layer" 2>/dev/null)
			case $source in
			'') echo "$layer" ;;
			/dev/loop*) cat "$root/sys/class/block/${source#/dev/}/loop/backing_file" ;;
			*) echo "$source" ;;
			esac
		done | tr '\n' ' '
}

# Tells whether /etc is an overlay that an activation mounts anew.
is_etc_overlay() {
	[ "$(findmnt -nro FSTYPE --mountpoint "$root/etc" 2>/dev/null)" = overlay ]
}

# Prints the failed units, one per line.
failed_units() {
	timeout 10 systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null |
		while read -r name _; do printf '%s\n' "$name"; done
}

# Prints what starts at the next boot: the system and, after a tab, what pins it there. Prints
# nothing where the boot loader is not one that can be read.
next_boot() {
	# What started the machine says so, where there are EFI variables.
	loader=$(loader_variable LoaderInfo)
	menu=$root/boot/grub/grub.cfg
	case $loader in
	'' | systemd-boot*)
		for boot in "$root/boot" "$root/efi" "$root/boot/efi"; do
			[ -r "$boot/loader/loader.conf" ] || continue
			# One that is older than GRUB's menu was left by a boot loader of earlier times.
			# shellcheck disable=SC3013 # every sh that NixOS has had knows it
			if [ -z "$loader" ] && [ -r "$menu" ] && [ "$menu" -nt "$boot/loader/loader.conf" ]; then continue; fi
			next_of_systemd_boot "$boot"
			return
		done
		;;
	GRUB*) ;;
	*) return ;;
	esac
	if [ -r "$root/boot/grub/grub.cfg" ]; then
		next_of_grub "$root/boot/grub"
	elif [ -r "$root/boot/extlinux/extlinux.conf" ]; then
		next_of_extlinux "$root/boot/extlinux/extlinux.conf"
	fi
}

# Prints the text of a variable of systemd-boot. $1 its name.
loader_variable() {
	variable=$root/sys/firmware/efi/efivars/$1-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
	# Four bytes of attributes, then UTF-16; entry names are ASCII.
	[ -r "$variable" ] && tail -c +5 "$variable" | tr -d '\000'
}

# $1 the folder that holds loader/.
next_of_systemd_boot() {
	pinned=''
	wanted=$(loader_variable LoaderEntryOneShot)
	[ -z "$wanted" ] || pinned="the one-time entry $wanted (bootctl set-oneshot)"
	if [ -z "$wanted" ]; then
		wanted=$(loader_variable LoaderEntryDefault)
		[ -z "$wanted" ] || pinned="the entry $wanted (bootctl set-default)"
	fi
	for key in preferred default; do
		[ -n "$wanted" ] || wanted=$(sed -n "s/^${key}[[:space:]]\{1,\}//p" "$1/loader/loader.conf" | head -n 1)
	done
	if [ "$wanted" = @saved ]; then
		wanted=$(loader_variable LoaderEntryLastBooted)
		pinned="the entry that was booted last, $wanted (default @saved in loader.conf)"
	fi
	[ -n "$wanted" ] || return
	entry=$(entry_of_systemd_boot "$1/loader/entries" "${wanted%.conf}")
	system=''
	[ -z "$entry" ] || system=$(sed -n 's/^options.*init=\([^ ]*\)\/init.*/\1/p' "$entry" | head -n 1)
	if [ -z "$system" ]; then
		# A unified kernel image: its name says the generation.
		number=${wanted#nixos-generation-}
		number=${number%%[!0-9]*}
		[ -z "$number" ] || system=$(readlink -f "$root/nix/var/nix/profiles/system-$number-link")
	fi
	case $entry in
	*+0.conf | *+0-*.conf) pinned="${pinned:+$pinned; }boot counting: ${entry##*/} has no tries left" ;;
	esac
	[ -z "$system" ] || printf '%s\t%s\n' "$system" "$pinned"
}

# Prints the file of an entry. $1 the folder of entries, $2 a name or pattern without `.conf`. Of
# several that a pattern fits systemd-boot takes one by what stands in them: prints nothing then.
entry_of_systemd_boot() {
	# shellcheck disable=SC2086,SC2231 # a pattern, on purpose
	for file in "$1"/$2.conf "$1"/$2+*.conf; do
		[ -e "$file" ] && printf '%s\n' "$file"
	done | sort -u | awk '{ file = $0 } END { if (NR == 1) print file }'
}

# $1 the folder of GRUB.
next_of_grub() {
	pinned=''
	saved=''
	once=''
	if [ -r "$1/grubenv" ]; then
		saved=$(sed -n 's/^saved_entry=//p' "$1/grubenv" | head -n 1)
		once=$(sed -n 's/^next_entry=//p' "$1/grubenv" | head -n 1)
	fi
	# The first entry of the menu is the newest generation; NixOS calls it by these names too.
	case $once in
	'' | 0 | NixOS | 'NixOS - Default') ;;
	*) pinned="the one-time entry $once (grub-reboot)" ;;
	esac
	if grep -q 'default=.*saved_entry' "$1/grub.cfg"; then
		case $saved in
		'' | 0 | NixOS | 'NixOS - Default') ;;
		*) [ -n "$pinned" ] || pinned="GRUB's saved entry $saved" ;;
		esac
	fi
	if [ -n "$pinned" ]; then
		# Which system that entry starts need not be known: it is not the newest one.
		printf 'another system\t%s\n' "$pinned"
		return
	fi
	system=$(sed -n 's/.*init=\([^ ]*\)\/init.*/\1/p' "$1/grub.cfg" | head -n 1)
	[ -z "$system" ] || printf '%s\t\n' "$system"
}

# $1 the configuration file of extlinux.
next_of_extlinux() {
	awk '
		toupper($1) == "DEFAULT" { wanted = $2 }
		toupper($1) == "LABEL" { label = $2 }
		toupper($1) == "APPEND" && label == wanted && match($0, /init=[^ ]*/) {
			system_path = substr($0, RSTART + 5, RLENGTH - 5)
			sub(/\/init$/, "", system_path)
			printf "%s\t\n", system_path
			exit
		}' "$1"
}

# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what the supervisor's other files define, and read
# The supervisor's way to run switch-to-configuration, and to read what it printed. Put before
# `supervise.sh` when nixdash is compiled.

# Opens descriptor 3 for what other programs print. Whatever happens to the log (full, too long),
# that pipe is read on, never closes and never fails: switch-to-configuration-ng panics, in the
# middle of its work, when it cannot write.
open_output() {
	pipe=$dir/output
	[ -p "$pipe" ] || mkfifo "$pipe" || return 1
	# Reading and writing: it is never closed, whoever dies.
	command exec 3<>"$pipe" || return 1
	keep_draining
}

# Starts what reads the pipe, when it does not run.
keep_draining() {
	if [ -z "$draining" ] || ! kill -0 "$draining" 2>/dev/null; then
		# Closed by `exec`: for a function some shells keep copies, and the pipe would have no end.
		(exec <"$dir/output" 3>&- 9>&- && drain) &
		draining=$!
	fi
}

# Copies into the log what fits and reads on, whatever comes.
drain() {
	(
		trap '' XFSZ
		ulimit -f "$log_blocks"
		exec cat
	) >>"$dir/log" 2>/dev/null || cat >/dev/null
}

say() {
	echo "$*"
}

# Runs switch-to-configuration of a system within its limit and reads what it said. $1 system,
# $2 action, $3 a variable for its environment, or nothing. Sets `code`, `whole` (whether all that it
# printed is in the log) and what `read_output` sets. The lock stays with us.
switch_to() {
	offset=$(wc -c <"$dir/log")
	keep_draining
	# shellcheck disable=SC2086 # no word when there is no variable
	timeout -k "$grace" "$activation_limit" env $3 "$1/bin/switch-to-configuration" "$2" \
		</dev/null >&3 2>&1 3>&- 9>&- &
	child=$!
	(exec 3>&- 9>&- && beat "$child" "$2") &
	beating=$!
	while :; do
		wait "$child"
		code=$?
		# A trapped signal ends `wait` early.
		kill -0 "$child" 2>/dev/null || break
	done
	child=''
	kill "$beating" 2>/dev/null
	stage=$((stage + 1))
	flush_output "switch-to-configuration $2 ended with exit code $code (step $stage)"
	read_output
}

# Says every ten seconds that something still runs, so that nobody takes it for hung. $1 its process,
# $2 the action.
beat() {
	seconds=0
	while sleep 9; do
		kill -0 "$1" 2>/dev/null || return
		seconds=$((seconds + 9))
		say "switch-to-configuration $2 has been running for $seconds s; it may take $activation_limit s"
	done
}

# Waits until what was printed so far is in the log. $1 a line that marks the place.
flush_output() {
	whole=no
	keep_draining
	printf '%s\n' "$1" >&3
	turns=200
	until tail -c 4096 "$dir/log" | grep -qF -- "$1"; do
		turns=$((turns - 1))
		[ "$turns" -gt 0 ] || return
		sleep 0.01
	done
	whole=yes
}

# Reads what the last switch-to-configuration printed. Sets `changed` (whether it began to change
# the host), `network` (whether it touched what carries the network), `locked`, `script_failed`,
# `check` (a pre-switch check that failed), `snippets` (of the activation script, that failed) and
# `users` (whose units failed).
read_output() {
	changed=no network=no locked=no script_failed=no check='' snippets='' users=''
	set -f
	for found in $(tail -c "+$((offset + 1))" "$dir/log" | summarise); do
		value=${found#*=}
		case $found in
		changed) changed=yes ;;
		network) network=yes ;;
		locked) locked=yes ;;
		script) script_failed=yes ;;
		check=*) check=$value ;;
		snippet=*)
			script_failed=yes
			snippets="${snippets:+$snippets }$value"
			;;
		user=*) users="${users:+$users }$value" ;;
		esac
	done
	set +f
}

# Prints the words that `read_output` reads. Whole lines are judged, as NixOS prints them.
summarise() {
	awk '
		function name(text) {
			gsub(/[^A-Za-z0-9_.@:-]/, "_", text)
			return text
		}
		function between(text, before, after) {
			sub(before, "", text)
			sub(after, "", text)
			return name(text)
		}
		/^(stopping the following units: |stopping swap device|activating the configuration)/ { changed = 1 }
		/^(stopping|restarting|starting|reloading) the following units: / {
			if ($0 ~ carries) network = 1
		}
		/^(Error: )?Could not acquire lock/ { locked = 1 }
		/^Failed to run activate script/ { script = 1 }
		/^Pre-switch check .* failed$/ { print "check=" between($0, "^Pre-switch check .", ". failed$") }
		/^Activation script snippet .* failed \([0-9]+\)$/ {
			print "snippet=" between($0, "^Activation script snippet .", ". failed .[0-9]+.$")
		}
		/^(warning: )?user activation for .* failed/ {
			print "user=" between($0, "^(warning: )?user activation for ", " failed.*$")
		}
		END {
			if (changed) print "changed"
			if (network) print "network"
			if (locked) print "locked"
			if (script) print "script"
		}' \
		carries='[ ,](systemd-networkd|NetworkManager|dhcpcd|wpa_supplicant|iwd|tailscaled|wireguard|wg-quick|nftables|firewall|sshd|ssh|network-setup|network-addresses|network-link|network-local-commands)[-.@a-z0-9A-Z]*(,|$)' -
}

# Prints who holds switch-to-configuration's own lock: anybody on the host may.
lock_holder() {
	lock=$root/run/nixos/switch-to-configuration.lock
	inode=$(stat -c %i "$lock" 2>/dev/null) || return
	process=$(awk -v end=":$inode" '$2 == "FLOCK" && substr($6, length($6) - length(end) + 1) == end { print $5; exit }' /proc/locks)
	if [ -z "$process" ] || ! [ -d "/proc/$process" ]; then return; fi
	printf ': %s holds it with process %s (%s)' "$(stat -c %U "/proc/$process")" "$process" \
		"$(tr '\000' ' ' <"/proc/$process/cmdline" | cut -c 1-80)"
}

# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what the supervisor's other files define, and read
# The supervisor's way back to the system that ran before. Put before `supervise.sh` when nixdash is
# compiled.

# Returns to the system that ran before, says how the host stands then, and ends. $1 the code, $2 the
# reason.
go_back() {
	[ -n "$running" ] || stay "$2"
	say "going back to $running: $2"
	# Whoever reaches the host from now on reaches it on its way back.
	leave activated "${code:-0} back"
	activate_running
	stands=$(what_differs)
	case $stands in
	'')
		word=rolled-back
		finding=$1
		failed=$(newly_failed)
		said="$2${failed:+; units that failed meanwhile: $failed}"
		;;
	*)
		word=stuck
		finding="system-unexpected"
		said="$2; going back left this: $stands"
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
	end stuck no-way-back "$1; no system of NixOS ran there before, so there is nothing to go back to: it runs ${now:-none} until it restarts, it was not made permanent, and the next boot starts ${next:-what it started before}"
}

# Activates the system that ran before. Sets `code`, `snippets` and the rest.
activate_running() {
	# Its activation mounts /etc anew only where another system is the current one.
	if is_etc_overlay; then
		ln -sfn "$toplevel" "$root/run/current-system.new" &&
			mv -T "$root/run/current-system.new" "$root/run/current-system"
	fi
	turns=30
	while :; do
		switch_to "$running" test NIXOS_NO_CHECK=1
		if [ "$locked" = no ] || [ "$changed" = yes ] || [ "$turns" = 0 ]; then break; fi
		[ "$turns" -lt 30 ] || say "another switch-to-configuration holds the lock$(lock_holder)"
		turns=$((turns - 1))
		sleep 2
	done
}

# Prints in words what is not as it was before the activation; nothing when all of it is.
what_differs() {
	now=$(readlink -f "$root/run/current-system")
	[ "$now" = "$running" ] || printf 'it runs %s; ' "$now"
	here=$(etc_source)
	[ "$here" = "$etc" ] || printf '/etc is from %s, not from %s; ' "$here" "$etc"
	held=$(readlink "$profiles/system")
	[ "$held" = "$generation" ] || printf 'the profile is %s, not %s; ' "$held" "$generation"
	boots=$(next_boot)
	[ "$boots" = "$boot" ] || printf 'the next boot starts %s; ' "${boots%%	*}"
}

# Prints the units that failed since before the activation.
newly_failed() {
	failed_units | while read -r unit_name; do
		grep -qxF -- "$unit_name" "$dir/failed" 2>/dev/null || printf '%s ' "$unit_name"
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
		say "nobody reached it, but $connectivity answers it: it is not restarted"
		return 0
	fi
	if [ "$(readlink "$profiles/system")" != "$generation" ] || [ -e "$intents/intent" ]; then return 0; fi
	if asks_for_a_passphrase; then
		say "its root disk may ask for a passphrase, so it is not restarted"
		return 0
	fi
	say "nobody reached it within $ack_limit s and $connectivity does not answer it: it restarts"
	tell_outcome rolled-back "$1" "$2; it stayed cut off, so it was restarted"
	systemctl reboot
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

# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what the supervisor's other files define, and read
# How the supervisor makes a system permanent, and undoes that. Put before `supervise.sh` when nixdash
# is compiled.

# Writes down what is begun, so that a power cut in the middle can be put right. $1 set or boot.
intend() {
	# A field is never empty: who reads it splits at tabs.
	printf '%s\t%s\t%s\t%s\n' "$1" "${generation:-none}" "${profile:-none}" "$toplevel" >"$intents/intent.new" &&
		[ -s "$intents/intent.new" ] && sync -f "$intents/intent.new" &&
		mv "$intents/intent.new" "$intents/intent" && sync "$intents"
}

# Makes the system the newest generation and what boots; undoes both when the boot loader refuses.
# Fails with `finding` (the code) and `reason`; succeeds with `pinned` when something else boots all
# the same.
persist() {
	pinned=''
	finding="write-failed"
	if ! intend 'set'; then
		reason="what is begun could not be written below /nix/var (is /nix full?), so the profile was left alone"
		rm -f "$intents/intent.new"
		return 1
	fi
	if ! set_profile --set "$toplevel"; then
		reason="the profile could not be set (is /nix full?)"
		put_profile_back
		return 1
	fi
	if ! intend boot; then
		reason="what is begun could not be written below /nix/var (is /nix full?)"
		put_profile_back
		return 1
	fi
	switch_to "$toplevel" boot "$no_check"
	if [ "$code" != 0 ]; then
		finding="boot-menu-failed"
		reason="switch-to-configuration boot exited with $code"
		restore_profile
		write_previous_boot_menu
		boots=$(next_boot)
		case $boots,$code in
		,0) reason="$reason; the previous system is the boot default" ;;
		,*) reason="$reason; what boots next is not known, so do not restart it before that is mended" ;;
		*) reason="$reason; the next boot starts ${boots%%	*}" ;;
		esac
		# Only now: a power cut before this is put right by what is written down.
		close_intent
		return 1
	fi
	rm -f "$intents/intent"
	boots=$(next_boot)
	system=${boots%%	*}
	pin=${boots#*	}
	case $boots in
	'') ;;
	"$toplevel	"*'no tries left'*) pinned="the next boot may start another system; $pin" ;;
	"$toplevel	"*) ;;
	*) pinned="the next boot starts $system${pin:+ because of $pin}" ;;
	esac
	return 0
}

# Writes the boot menu of the system that the profile was before. Sets `code`, and adds to `reason`.
write_previous_boot_menu() {
	if [ -z "$profile" ]; then
		code=1
		reason="$reason; there was no system before whose boot menu could be written again"
		return
	fi
	switch_to "$profile" boot NIXOS_NO_CHECK=1
	[ "$code" = 0 ] || reason="$reason; writing the boot menu of the previous system exited with $code too"
}

# Runs nix-env on the system profile, within the limit of an activation. $1, $2 what it shall do.
set_profile() {
	timeout -k "$grace" "$activation_limit" nix-env --profile "$profiles/system" "$1" "$2" \
		</dev/null >&3 2>&1 3>&- 9>&-
}

# Makes the profile what it was, where nothing else was begun.
put_profile_back() {
	restore_profile
	close_intent
}

# Forgets what was begun when the profile is what it was. Else says so in `reason`, and what is begun
# stays written down: the next look at the host puts it right.
close_intent() {
	if [ "$(readlink "$profiles/system")" = "$generation" ]; then
		rm -f "$intents/intent"
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

# Persists and ends. $1 the outcome when that works, $2 its code, $3 its reason, $4 the outcome when it
# does not.
persist_and_end() {
	if ! persist; then
		case $4 in
		degraded) end degraded "$finding" "it runs the new system, but $reason" ;;
		*) end "$4" "$finding" "$reason" ;;
		esac
	fi
	[ -z "$pinned" ] || end degraded boot-default-pinned "$pinned"
	end "$1" "$2" "$3"
}

#!/bin/sh
# The supervisor: a job on the target that activates a system, waits to be told that the host is
# still reachable and well, and only then makes it permanent; else it goes back to what was there.
# `results.sh`, `units.sh`, `host-facts.sh` and the three files `supervise-….sh` are put before it when
# nixdash is compiled.
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
# that built the system), first (yes: no system runs there that it could go back to), root (in tests: the folder below which the host lies), log (most of the log
# that is kept, in blocks of 512 bytes: it lies in memory), grace (seconds between TERM and KILL for an
# activation that takes too long).
#
# It reads from its folder: ack (somebody reached the host anew), checked (the checks have ended), word
# (commit, or `abort CODE why`).
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

# Takes the lock, which nobody but root can hold, or ends. The lock is held by the process and,
# when that died, for as long as its unit is there: something may still be going back.
take_lock() {
	mkdir -p "$root/run/nixdash" "$roots" "$intents" || return 1
	chmod 700 "$root/run/nixdash" || return 1
	(umask 077 && : >>"$root/run/nixdash/lock") || return 1
	chmod 600 "$root/run/nixdash/lock" || return 1
	command exec 9>>"$root/run/nixdash/lock" || return 1
	held=$(sed -n 's/.*unit=\([^ ]*\).*/\1/p' "$root/run/nixdash/owner" 2>/dev/null)
	# A look before a deploy holds it for a moment.
	if ! flock -w 5 9 || { [ -n "$held" ] && [ "$held" != "$unit" ] && is_there "$held"; }; then
		tell_outcome locked lock-held "$(cat "$root/run/nixdash/owner" 2>/dev/null)"
		exit 0
	fi
	now=$(date +%s)
	# Activating, going back, and everything that is waited for.
	until=$((now + 3 * activation_limit + 2 * ack_limit + check_limit + settle_network + 120))
	printf '%s unit=%s dir=%s since=%s until=%s\n' "$owner" "$unit" "$dir" "$now" "$until" \
		>"$root/run/nixdash/owner.new" && mv "$root/run/nixdash/owner.new" "$root/run/nixdash/owner"
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
	failed_units >"$dir/failed" 2>/dev/null 3>&- 9>&- &
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
	turns=$(($2 * 10))
	# The word has its file from the beginning; it is there when it can be read.
	until has word || { [ "$1" != word ] && [ -e "$dir/$1" ]; }; do
		[ "$turns" -gt 0 ] && [ "$ending" = no ] || return 1
		turns=$((turns - 1))
		sleep 0.1
	done
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
	switch_to "$toplevel" test
	now=$(system_at "$root/run/current-system")
	[ "$now" = "$running" ] || changed=yes
	# What cannot be read may have said anything.
	[ "$whole" = yes ] || [ "$code" = 0 ] || changed=yes
	if [ "$changed" = no ] && [ "$code" != 0 ] && [ "$now" != "$toplevel" ]; then
		end_untouched
	fi
	case $code in
	124 | 137) go_back activation-failed "its activation took longer than $activation_limit s" ;;
	0 | 2 | 4) ;;
	*) go_back activation-failed "its activation exited with $code" ;;
	esac
	if [ "$now" != "$toplevel" ]; then
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
	*) end failed pre-switch-failed "its pre-switch check '$check' failed, so nothing was changed; what it wants is in the log" ;;
	esac
	if [ "$code" = 100 ] || [ "$check" = switchInhibitors ]; then
		case $(result word) in
		abort*) end failed run-stopped "it needs a reboot, nothing was changed, and the run was stopped" ;;
		esac
		[ "$action" = switch ] || end failed switch-inhibited "it cannot be activated without a reboot"
		persist_and_end needs-reboot switch-inhibited "it starts at the next reboot: it cannot be activated while the host runs" failed
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
	why="its activation script failed in $failing (exit code $code)"
	# Nothing ran before in which it could fail too.
	[ -n "$running" ] || go_back snippet-failed "$why"
	first=$code
	if ! all_in "$failing" "$(known_snippets)"; then
		say "does $failing fail in the running system too? activating that one again to see"
		activate_running
		before=$snippets
		if [ "$whole" != yes ] || [ -n "$(what_differs)" ] || ! all_in "$failing" "$before"; then
			code=$first
			go_back snippet-failed "$why"
		fi
		switch_to "$toplevel" test
		now=$(system_at "$root/run/current-system")
		if [ "$now" != "$toplevel" ] || [ "$whole" != yes ] || ! all_in "$snippets" "$before"; then
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
	printf '%s\t%s\n' "$toplevel" "$failing_before" >"$intents/failing-snippets"
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
		end failed write-failed "the systems that are there now could not be rooted (is /nix full?), so nothing was begun"
	fi
	if [ -z "$running" ] && [ "$first" != yes ]; then
		end failed not-nixos "no system of NixOS runs there that it could go back to, so nothing was begun"
	fi
	connected=no
	[ "$recover" != yes ] || ! is_connected || connected=yes
	case $action in
	dry-activate)
		switch_to "$toplevel" dry-activate
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
	wait_for ack "$ack_limit" || give_up network-lost "nobody could reach it within $ack_limit s of its activation"
	wait_for checked "$check_limit" || give_up confirmation-missing "its checks did not end within $check_limit s"
	# A network that breaks late is noticed soon: the word is due when the time to settle is over.
	[ "$network" = no ] || settle=$settle_network
	word_limit=$((settle + ack_limit))
	wait_for word "$word_limit" || give_up confirmation-missing "no word to keep it came within $word_limit s of its checks"
	obey "$(result word)"
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
	*) go_back confirmation-missing "the word after the checks was not understood" ;;
	esac
	remember_snippets
	# Whoever builds this host next can tell that one to let go of what it keeps.
	[ -z "$built_on" ] || printf '%s\n' "$built_on" >"$intents/built-on"
	[ "$action" != 'test' ] || end tested "" ""
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
	if [ "$(result word)" = commit ] && [ "$goes_back" = no ] && [ "$now" = "$toplevel" ]; then kept=yes; fi
	if [ "$kept" = yes ] || [ "$action" = boot ]; then
		say "it was told to keep the new system: going on with that"
		case $action in
		boot) persist_and_end booted "" "" failed ;;
		*) obey commit ;;
		esac
	fi
	if [ "$action" = dry-activate ]; then
		end failed job-ended "its supervisor was ended"
	fi
	if [ -e "$intents/intent" ] && [ "$now" = "$running" ] && [ "$goes_back" = no ]; then
		persist_and_end needs-reboot switch-inhibited "it starts at the next reboot: it cannot be activated while the host runs" failed
	fi
	if [ "$changed" = no ] && [ "$now" = "$running" ] && [ "$(etc_source)" = "$etc" ]; then
		end failed job-ended "its supervisor was ended before anything was changed"
	fi
	go_back job-ended "its supervisor was ended (${SERVICE_RESULT:-unknown})"
}

main() {
	root='' mode=supervise fetched='' first=no recover=no connectivity=gateway unit='' owner='' built_on='' log_blocks=16384 grace=15
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
		log=*) log_blocks=$value ;;
		grace=*) grace=$value ;;
		esac
	done
	profiles=$root/nix/var/nix/profiles
	roots=$root/nix/var/nix/gcroots/nixdash
	intents=$root/nix/var/nixdash
	stage=0 child='' draining='' ending=no failing_before='' code='' no_check=''
	case $mode in
	after) after ;;
	*) supervise ;;
	esac
}

main "$@"
