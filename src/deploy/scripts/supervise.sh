#!/bin/sh
# The supervisor: a job on the target that activates a system, waits to be told that the host is
# still reachable and well, and only then makes it permanent; else it goes back to what was there.
#
# $1 the job's folder, $2 the system, $3 action (switch, boot, test, dry-activate),
# $4 seconds to wait for the acknowledgement, $5 seconds to wait for the word after the checks,
# $6 seconds that the activation may take, $7 who does this.
# It reads from its folder: ack (somebody reached the host anew), word (commit or abort).
# It leaves there: activated (exit code of the activation, and what it means) and outcome
# (a word, a tab, and the reason), which are the truth about what happened.
dir=$1
toplevel=$2
action=$3
ack_limit=$4
word_limit=$5
activation_limit=$6
owner=$7

profiles=/nix/var/nix/profiles
roots=/nix/var/nix/gcroots/nixdash

# Writes a result so that a reader sees all of it or nothing.
leave() {
	printf '%s\n' "$2" >"$dir/$1.new"
	mv "$dir/$1.new" "$dir/$1"
}

# Ends with an outcome. $1 word, $2 reason.
end() {
	echo "outcome: $1${2:+, $2}"
	rm -f "$roots/before-running" "$roots/before-profile" "$roots/before-booted"
	rm -f /run/nixdash/owner
	case $1 in
	# The profile holds it now; what failed stays, so that the next try need not fetch it again.
	switched | booted | needs-reboot | degraded) rm -f "$roots/next" ;;
	esac
	leave outcome "$(printf '%s\t%s' "$1" "$2")"
	exit 0
}

# Runs switch-to-configuration of a system. $1 system, $2 action. The lock stays with us.
switch_to() {
	timeout "$activation_limit" "$1/bin/switch-to-configuration" "$2" 9>&-
}

# Returns to the system that ran before. $1 the reason, for the outcome.
go_back() {
	echo "going back to $running: $1"
	# Whoever reaches the host from now on reaches it on its way back.
	leave activated "$code back"
	switch_to "$running" test
	back=$?
	now=$(readlink -f /run/current-system)
	if [ "$now" != "$running" ]; then
		end stuck "$1; going back failed too (exit code $back): it still runs $now"
	fi
	case $back in
	0) end rolled-back "$1" ;;
	*) end rolled-back "$1; the previous system runs again, its activation exited with $back" ;;
	esac
}

# Makes the system the newest generation and what boots; undoes it when the boot loader refuses.
persist() {
	if ! nix-env --profile "$profiles/system" --set "$toplevel"; then
		reason="the profile could not be set"
		return 1
	fi
	switch_to "$toplevel" boot
	code=$?
	[ "$code" = 0 ] && return 0
	reason="switch-to-configuration boot exited with $code, so the boot default is the previous system"
	number=${generation#system-}
	number=${number%-link}
	case $number in
	'' | *[!0-9]*) nix-env --profile "$profiles/system" --set "$profile" ;;
	*) nix-env --profile "$profiles/system" --switch-generation "$number" ;;
	esac
	return 1
}

# Waits for a file. $1 its name, $2 seconds. Fails when it does not come in time.
wait_for() {
	turns=$(($2 * 10))
	while [ ! -e "$dir/$1" ]; do
		[ "$turns" -gt 0 ] || return 1
		[ -e "$dir/word" ] && return 0
		turns=$((turns - 1))
		sleep 0.1
	done
}

mkdir -p /run/nixdash "$roots"
exec 9>>/run/nixdash/lock
if ! flock -n 9; then
	leave outcome "$(printf 'locked\t%s' "$(cat /run/nixdash/owner 2>/dev/null)")"
	exit 0
fi
printf '%s\n' "$owner" >/run/nixdash/owner

running=$(readlink -f /run/current-system)
booted=$(readlink -f /run/booted-system)
generation=$(readlink "$profiles/system")
profile=$(readlink -f "$profiles/system")
ln -sfn "$running" "$roots/before-running"
ln -sfn "$profile" "$roots/before-profile"
ln -sfn "$booted" "$roots/before-booted"

case $action in
dry-activate)
	switch_to "$toplevel" dry-activate
	code=$?
	leave activated "$code dry"
	[ "$code" = 0 ] && end dry ""
	end failed "switch-to-configuration dry-activate exited with $code"
	;;
boot)
	leave activated "0 boot"
	persist && end booted ""
	end failed "$reason"
	;;
esac

switch_to "$toplevel" test
code=$?
now=$(readlink -f /run/current-system)
said_failed=false
grep -q 'Failed to run activate script' "$dir/log" && said_failed=true
inhibited=false
grep -qi 'inhibit' "$dir/log" && inhibited=true

case $code in
0 | 4)
	if [ "$said_failed" = true ]; then
		leave activated "$code script"
		go_back "its activation script failed (exit code $code)"
	fi
	;;
100 | 1)
	if [ "$code" = 100 ] || [ "$inhibited" = true ]; then
		leave activated "$code reboot"
		[ "$action" = switch ] || end failed "it cannot be activated without a reboot"
		persist && end needs-reboot "it cannot be activated without a reboot"
		end failed "$reason"
	fi
	;;
esac

case $code in
0 | 4) ;;
*)
	leave activated "$code failed"
	meaning="its activation exited with $code"
	[ "$code" = 2 ] && meaning="its activation script failed (exit code 2)"
	[ "$code" = 124 ] && meaning="its activation took longer than $activation_limit s"
	[ "$code" = 11 ] && end failed "another switch-to-configuration holds the lock"
	if [ "$now" = "$running" ] && [ "$code" != 2 ] && [ "$code" != 124 ]; then
		end failed "$meaning before anything was changed"
	fi
	go_back "$meaning"
	;;
esac

leave activated "$code ok"
wait_for ack "$ack_limit" || go_back "nobody could reach it within $ack_limit s of its activation"
wait_for word "$word_limit" || go_back "no word came after the checks within $word_limit s"
IFS= read -r word <"$dir/word"
case $word in
commit) ;;
abort*)
	go_back "${word#abort }"
	;;
*)
	go_back "the word after the checks was not understood"
	;;
esac

[ "$action" = test ] && end tested ""
persist && end switched ""
end degraded "it runs the new system, but $reason"
