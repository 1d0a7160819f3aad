#!/bin/sh
# Gives the supervisor the word after the checks, as root. $1 the job's folder, $2 the word.
# The first word counts.
[ -d "$1" ] || exit 3
[ -e "$1/word" ] && exit 0
printf '%s\n' "$2" >"$1/word.new"
mv "$1/word.new" "$1/word"
