# shellcheck shell=sh
# Runs Nix without the lines in which it tells the progress of a transfer again though nothing has changed:
# they are most of its log, which lies on a disk and travels to whoever follows it, often over a slow network.
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

# Passes on lines, without progress that says what was said last of the same transfer. It ends when its input
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
			id = substr($0, index($0, "\"id\":"))
			if (last[id] == $0) next
			last[id] = $0
		}
		{ print; fflush() }' || cat || cat >/dev/null
}

