# Prints the newest lines of the journal of a unit, and goes on with those that come where it is asked
# for. `says.sh` is put before it when nixdash is compiled.
# Arguments: the unit, how many lines, `follow` or `once`. Changes nothing.
# shellcheck shell=sh

follow=
if [ "$3" = follow ]; then follow=--follow; fi
journalctl --quiet --no-pager --no-hostname --output=short-iso --lines="$2" ${follow:+"$follow"} \
	--unit="$1"
