# Prints the systems that were built here and not deployed yet, which deploys keep from the garbage
# collector: `host<TAB>path<TAB>seconds since 1970<TAB>next or run`, the newest last. Runs as the login
# user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# A run that has not ended, or was killed, has a root of its own, `HOST.run-…`.
for root in /nix/var/nix/gcroots/nixdash/*.next /nix/var/nix/gcroots/nixdash/*.run-*; do
	path=$(readlink -e "$root") || continue
	case $root in */fetched.*) continue ;; esac
	case $path in *.drv) continue ;; esac
	host=${root##*/}
	case $host in
	*.next) kind=next host=${host%.next} ;;
	*) kind=run host=${host%.run-*} ;;
	esac
	printf '%s\t%s\t%s\t%s\n' "$host" "$path" "$(stat -c %Y "$root")" "$kind"
done | sort -k 3,3n
