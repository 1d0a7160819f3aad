# Waits until the nixdash that started it is gone, however it ended: then its standard input ends.
# Ends the ssh processes whose control sockets lie in the folder $1, and removes the folder.
# shellcheck shell=sh

trap '' HUP INT TERM
cat >/dev/null

end_masters() {
	for socket in "$1"/*/m; do
		if [ -S "$socket" ]; then
			ssh -F none -S "$socket" -O exit nixdash 2>/dev/null
		fi
	done
}

if [ -d "$1" ] && [ ! -L "$1" ]; then
	end_masters "$1"
	# A connection that was being made just then has its socket by now, or never will.
	sleep 7
	end_masters "$1"
	rm -rf "$1"
fi
