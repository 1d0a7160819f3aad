#!/bin/sh
# Stands in for sudo. Files beside it say what it does: `mode` (asks, free, reads), `password`, and
# what it says on its outputs before and after. Each line that it takes for a password goes to `tried`.
dir=${0%/*}
mode=$(cat "$dir/mode")
interactive=no
prompt=
while :; do
  case $1 in
    -n) shift ;;
    -S) interactive=yes; shift ;;
    -k) shift ;;
    -p) prompt=$2; shift 2 ;;
    *) break ;;
  esac
done
cat "$dir/lecture-out"
cat "$dir/lecture-err" >&2
if [ "$mode" = asks ]; then
  [ "$interactive" = yes ] || { echo 'sudo: a password is required' >&2; exit 1; }
  tries=0
  while :; do
    printf '%s' "$prompt" >&2
    IFS= read -r line || { echo 'sudo: no password was provided' >&2; exit 1; }
    printf '%s\n' "$line" >>"$dir/tried"
    [ "$line" = "$(cat "$dir/password")" ] && break
    echo 'Sorry, try again.' >&2
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || { echo 'sudo: 3 incorrect password attempts' >&2; exit 1; }
  done
elif [ "$mode" = reads ] && [ "$interactive" = yes ]; then
  IFS= read -r line
fi
"$@"
code=$?
cat "$dir/lecture-out"
cat "$dir/lecture-err" >&2
exit "$code"
