# shellcheck shell=sh
# Runs Nix without most of the lines in which it tells the progress of a transfer: it tells that for every few
# thousand bytes, and again when nothing has changed. They are nearly all of its log, which lies on a disk and
# travels to whoever follows it, often over a slow network.
# Put before the scripts that need it when nixdash is compiled.

# Runs a command, and passes on what it prints on both outputs without such lines. Returns its code. The
# arguments are the command.
without_repeats() {
	{
		command_code=$(
			{
				{
					(exec 2>&1 3>&- 4>&- && "$@")
					echo "$?" >&3
				} | only_changes >&4 3>&- 4>&-
			} 3>&1
		)
	} 4>&1
	return "${command_code:-1}"
}

# Passes on lines, without progress that says what was said last of the same transfer. Of progress in bytes alone
# each eighth of the whole passes, or each sixteenth line where that comes first, and the last. It ends when its input
# does and not before: a signal to the whole job lets Nix say why it ends, and where the disk is full for a
# while, what comes later is written again.
only_changes() {
	trap '' TERM PIPE
	LC_ALL=C
	export LC_ALL
	# mawk waits else until it has read a whole block.
	case $(awk -W version 2>&1 </dev/null) in
	mawk*) set -- -W interactive ;;
	*) set -- ;;
	esac
	awk "$@" '
		index($0, "@nix {\"action\":\"result\",\"fields\":[") == 1 && /"type":105}$/ {
			id = substr($0, index($0, "\"id\":") + 5)
			id = substr(id, 1, index(id, ",") - 1)
			if (last[id] == $0) next
			last[id] = $0
			# How much is done, of how much, and what runs and failed.
			split(substr($0, 35), now, /[],]/)
			rest = now[2] "," now[3] "," now[4]
			if (others[id] == rest && now[1] + 0 < now[2] + 0 && now[1] - told[id] < now[2] / 8 && ++held[id] < 16) next
			others[id] = rest
			told[id] = now[1]
			held[id] = 0
		}
		index($0, "@nix {\"action\":\"stop\",\"id\":") == 1 {
			id = substr($0, 28)
			sub(/}.*/, "", id)
			if (held[id] > 0) print last[id]
			delete last[id]; delete others[id]; delete told[id]; delete held[id]
		}
		{ print; fflush() }' || cat || cat >/dev/null
}

