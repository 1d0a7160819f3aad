#!/bin/sh
# Makes the pictures of this folder: the real dashboard on the practice fleet, photographed in tmux.
#
#   screenshots/make.sh [-k] [NIXDASH]
#
# NIXDASH is the program (default: target/release/nixdash, built when it is not there). -k keeps the
# practice fleet, which else is taken down. Needs root on Linux as `nixdash lab --seaweed` does, tmux and
# python3.
set -eu

keep=
if [ "${1:-}" = -k ]; then
	keep=1
	shift
fi
here=$(cd "$(dirname "$0")" && pwd)
nixdash=${1:-$here/../target/release/nixdash}
if [ ! -x "$nixdash" ]; then
	(cd "$here/.." && cargo build --release)
fi
nixdash=$(cd "$(dirname "$nixdash")" && pwd)/$(basename "$nixdash")

NIXDASH_LAB_NAME=${NIXDASH_LAB_NAME:-pictures}
export NIXDASH_LAB_NAME
hosts=${XDG_STATE_HOME:-$HOME/.local/state}/nixdash/lab/$NIXDASH_LAB_NAME/hosts.toml
work=$(mktemp -d)
socket=nixdash-pictures-$$

# Runs a command of tmux on a server of our own.
on_tmux() {
	tmux -L "$socket" "$@"
}

# Ends what was begun.
end() {
	on_tmux kill-server 2>/dev/null || true
	rm -rf "$work"
	[ -n "$keep" ] || "$nixdash" lab down
}
trap end EXIT
trap 'exit 130' INT TERM

# Waits until the screen shows text that matches a pattern, at most about a minute.
wait_for() {
	tries=0
	until on_tmux capture-pane -p -t dash | grep -Eq -- "$1"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 300 ]; then
			echo "make.sh: the screen never showed: $1" >&2
			on_tmux capture-pane -p -t dash >&2
			exit 1
		fi
		sleep 0.2
	done
}

# Presses keys.
press() {
	on_tmux send-keys -t dash "$@"
}

# Gives the terminal a size and waits for the next frames.
resize() {
	on_tmux resize-window -t dash -x "$1" -y "$2"
	sleep 0.6
}

# Writes what the terminal shows as a picture.
picture() {
	# Whose home this is means nothing to others.
	on_tmux capture-pane -e -p -N -t dash | sed "s|$HOME/|~/|g" >"$work/$1"
	size=$(on_tmux display-message -p -t dash '#{window_width} #{window_height}')
	# shellcheck disable=SC2086  # two numbers
	python3 "$here/svg.py" $size "$2" <"$work/$1" >"$here/$1.svg"
	echo "screenshots/$1.svg"
}

"$nixdash" lab up --yes --seaweed
"$nixdash" lab bump

# Runs are kept in a folder of our own, so that no picture shows somebody else's.
on_tmux -f /dev/null new-session -d -s dash -x 120 -y 35 \
	env XDG_STATE_HOME="$work/state" LANG=C.UTF-8 TERM=tmux-256color COLORTERM=truecolor \
	"$nixdash" --hosts "$hosts"
wait_for '4 up'
wait_for 'in p620 +[0-9a]'
# Some minutes' worth of a graph takes some polls.
sleep 40
picture fleet 'nixdash: four hosts, and what is known of the selected one'
# One of the three servers of the SeaweedFS tier goes away, which its hosts do not notice.
"$nixdash" lab fault seaweed volume-server-down 2
press 2 j j
wait_for '2 of 3 servers'
picture caches 'nixdash: caches by hosts; one has lost a server, and says what that means'
"$nixdash" lab fault seaweed clear
wait_for 'weed (▲ unused|▲ not used|[0-9]+ %)'
resize 100 30
press 1 A d
sleep 0.3
press Enter
sleep 0.3
press p 5 1 0 Enter
wait_for 'Plan of run'
picture plan 'nixdash: what a deploy will do, before it does it'
resize 200 50
press y
wait_for '[1-9] of [0-9]+ built|fetch  00'
picture deploy 'nixdash: four hosts deployed side by side, each with its log'
wait_for 'fetch  00|activate  00|acknowledge  00|settle  00'
resize 40 10
press 1
sleep 0.3
picture corner 'nixdash in a corner of tmux'
resize 200 50
press 3
wait_for '[0-9] switched'
press q
