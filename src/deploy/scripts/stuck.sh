# shellcheck shell=sh
# Nix's daemon forks where several threads run. What it forked may then wait for a lock that a thread
# held which was not forked along: without end, and the build with it, without a word. These functions find
# such a process and end it. Put before the scripts that need it when nixdash is compiled.

# Tells whether a process has one thread, and that waits for a lock inside of the process without a
# limit: then there is nobody who could let it go on. Sets `parent`. $1 its folder in /proc.
is_stuck() {
	threads='' parent=''
	while read -r field value _; do
		case $field in
		PPid:) parent=$value ;;
		Threads:) threads=$value ;;
		esac
	done <"$1/status"
	[ "$threads" = 1 ] || return 1
	# The call's number (futex, on x86-64, on ARM and RISC-V, on 32 bits), and its arguments: the lock, what is
	# done with it (wait, privately), a value, and the limit.
	read -r call _ action _ limit _ <"$1/syscall" || return 1
	case $call:$action:$limit in
	202:0x80:0x0 | 98:0x80:0x0 | 240:0x80:0x0) return 0 ;;
	*) return 1 ;;
	esac
}

# Prints the processes of Nix that can never go on and belong to a client. $1 the client's process.
stuck_for() {
	for folder in /proc/[0-9]*; do
		name=$(cat "$folder/comm") || continue
		case $name in
		nix*) is_stuck "$folder" || continue ;;
		*) continue ;;
		esac
		# A daemon's process has its client's number as its first argument, and so has what it forks.
		words=$(tr '\0' ' ' <"$folder/cmdline") || continue
		case $parent:$words in
		"$1":* | *:"nix-daemon $1 "* | *:*"/nix-daemon $1 "*) echo "${folder##*/}" ;;
		esac
	done 2>/dev/null
}

# Ends what stands still for a client for ten seconds, until it is told to end itself; then its code is 3
# where it had to end anything. $1 the client's process.
end_what_is_stuck() {
	ended=0 before='' pause=''
	trap '[ -z "$pause" ] || kill "$pause" 2>/dev/null; exit "$ended"' TERM
	while :; do
		sleep 10 >/dev/null 2>&1 &
		pause=$!
		wait "$pause"
		now=$(stuck_for "$1")
		for process in $now; do
			case " $before " in
			*" $process "*)
				kill -KILL "$process"
				ended=3
				;;
			esac
		done
		before=$(echo "$now" | tr '\n' ' ')
	done
}

# Runs a client of Nix, and runs it again where what the daemon forked for it stood still, three times in
# all. The arguments are the command.
unstuck() {
	for try in 1 2 3; do
		"$@" &
		client=$!
		end_what_is_stuck "$client" &
		watch=$!
		wait "$client"
		code=$?
		kill "$watch"
		# One that ended before it could say how it wants to end makes the shell say "Terminated".
		{ wait "$watch"; } 2>/dev/null
		if [ "$?" != 3 ] || [ "$code" = 0 ] || [ "$try" = 3 ]; then return "$code"; fi
		echo "a child process of Nix hung and was ended: it waited for a lock that nobody could" \
			"release, which is a bug of Nix; asking Nix again"
	done
}
