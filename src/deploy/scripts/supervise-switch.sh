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
	# echo makes characters of what stands behind a backslash, in some shells.
	printf '%s\n' "$*"
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

# Prints what was said right before the first snippet of the activation script failed: most often
# that says why. Nothing where that is only what NixOS itself says between snippets.
last_words() {
	tail -c "+$((offset + 1))" "$dir/log" | awk '
		/^Activation script snippet .* failed \([0-9]+\)$/ { print said; exit }
		/^(activating the configuration|setting up \/etc)/ { said = ""; next }
		{ said = $0 }' | tr -d '\000-\011\013-\037\177' | cut -c 1-200
}

# Prints who holds switch-to-configuration's own lock: anybody on the host may.
lock_holder() {
	lock=$root/run/nixos/switch-to-configuration.lock
	inode=$(stat -c %i "$lock" 2>/dev/null) || return
	process=$(awk -v end=":$inode" '$2 == "FLOCK" && substr($6, length($6) - length(end) + 1) == end { print $5; exit }' /proc/locks)
	if [ -z "$process" ] || ! [ -d "/proc/$process" ]; then return; fi
	printf ': %s holds it with process %s (%s)' "$(stat -c %U "/proc/$process")" "$process" \
		"$(tr '\000\n' '  ' <"/proc/$process/cmdline" | cut -c 1-80)"
}

