#!/bin/sh
# How much memory and time the dashboard and `nixdash history` take when the folder of runs holds much:
# three runs of a million log lines each, in the format of older versions (every line is a JSON event in
# events.jsonl) and, with "new" as $2, in today's (plain logs beside few events).
# Needs python3 and tmux. $1: lines per run, a million when it is not given. NIXDASH names the program;
# NAMES the number of hosts in each run, WIDTH the length of a line; SHOW=1 prints the screens, too.
set -eu
lines=${1:-1000000}
format=${2:-old}
nixdash=$(realpath "${NIXDASH:-target/release/nixdash}")
dir=$(mktemp -d)
finish() { rm -rf "$dir"; }
trap finish EXIT
trap 'exit 130' INT TERM
mkdir -p "$dir/home"
printf '[hosts.host0]\naddresses = ["127.0.0.1:1"]\n' >"$dir/hosts.toml"

python3 "$(dirname "$0")/runs.py" "$dir/nixdash/runs" "$dir/hosts.toml" "$lines" "$format"
du -sh "$dir/nixdash/runs" | sed 's/\t.*/ in the folder of runs/'

export HOME="$dir/home" XDG_STATE_HOME="$dir" XDG_CONFIG_HOME="$dir/home" NIXDASH_HOSTS="$dir/hosts.toml"

# Prints what a process has and had in memory, and how much CPU it took.
figures() {
	awk -v what="$2" '/VmHWM/ { peak = $2 } /VmRSS/ { now = $2 }
		END { printf "%-28s peak %7.1f MB, now %7.1f MB", what, peak / 1024, now / 1024 }' "/proc/$1/status"
	awk '{ printf ", CPU %.2f s\n", ($14 + $15) / 100 }' "/proc/$1/stat"
}

/usr/bin/time -f '%M %e' "$nixdash" history >"$dir/list" 2>"$dir/time"
awk 'END { printf "%-28s peak %7.1f MB, %s s\n", "nixdash history", $1 / 1024, $2 }' "$dir/time"

# The dashboard, on a terminal of its own.
screen="nixdash-bench-$$"
tmux -L "$screen" -f /dev/null new-session -d -x 200 -y 50 "exec $nixdash"
sleep 8
dash=$(tmux -L "$screen" display-message -p '#{pane_pid}')
figures "$dash" "dashboard, first screen"
for view in 5:history 3:run 4:log; do
	tmux -L "$screen" send-keys "${view%:*}"
	sleep 3
	figures "$dash" "dashboard, ${view#*:}"
	if [ -n "${SHOW:-}" ]; then tmux -L "$screen" capture-pane -p; fi
done
tmux -L "$screen" kill-server
