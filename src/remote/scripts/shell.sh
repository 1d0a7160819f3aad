# Runs scripts that come one after the other on standard input: for each a line with the number of its
# bytes and the word that it ends with, and then the script. One that came cut short is not run. When the
# other side of standard input goes away, everything that runs here is ended.
# shellcheck shell=sh
{
	trap '' TERM
	cat
	kill -TERM 0
	sleep 1
	kill -KILL 0
} 2>/dev/null | while read -r nixdash_bytes nixdash_last; do
	nixdash_text=$(head -c "$nixdash_bytes")
	case $nixdash_text in
	*"$nixdash_last") eval "$nixdash_text" </dev/null ;;
	*) exit 74 ;;
	esac
done
