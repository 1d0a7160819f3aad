#!/bin/sh
# A job on the target: gets a system from the target's own substituters, never by building, and
# roots it. $1 system, $2 root; $3, where given alone, the one substituter to ask; $3 and $4 a
# substituter and its key to add.
# What a cache said was missing a moment ago is asked again; a retry doubts what it said was there.
# A cache that takes a connection and then says nothing is given up after 15 seconds, twice in each of
# the two tries: with Nix's own limits (300 seconds, five times) another cache would come after an hour.
# One that answers a small question between the tries is slow or busy and not dead: it may have more connections
# than it serves at once, or fetch a large file itself first. So the second try has more patience with it.
# `without-repeats.sh` is put before it when nixdash is compiled.

# Prints the variables of the Nix daemon, one per line.
daemon_variables() {
	shown=$(systemctl show --property=Accept --property=MainPID nix-daemon.socket nix-daemon.service 2>/dev/null)
	case $shown in
	*Accept=yes*)
		# A newer Lix starts a daemon for each connection. Starting one by hand would stop its socket.
		systemctl show --property=Environment --value nix-daemon.service nix-daemon@nixdash.service 2>/dev/null |
			xargs -r printf '%s\n'
		return
		;;
	*MainPID=0*)
		# It waits at its socket for whoever comes first.
		systemctl start nix-daemon.service 2>/dev/null
		shown=$(systemctl show --property=MainPID nix-daemon.service 2>/dev/null)
		;;
	esac
	tr '\000\n' '\n ' 2>/dev/null <"/proc/${shown##*MainPID=}/environ"
}

# Sets what the unit of the Nix daemon sets of proxies, certificates and credentials of caches.
take_over_environment() {
	while IFS= read -r variable; do
		case $variable in
		[hH][tT][tT][pP]_[pP][rR][oO][xX][yY]=* | [hH][tT][tT][pP][sS]_[pP][rR][oO][xX][yY]=* | \
			[aA][lL][lL]_[pP][rR][oO][xX][yY]=* | [nN][oO]_[pP][rR][oO][xX][yY]=* | \
			AWS_[A-Z]*=* | CURL_CA_BUNDLE=* | NIX_SSL_CERT_FILE=* | SSL_CERT_FILE=* | SSL_CERT_DIR=*)
			export "${variable?}"
			;;
		esac
	done <<VARIABLES
$(daemon_variables)
VARIABLES
}

# Prints the caches that the options of Nix leave to be asked. $1 the only one, or nothing; then the options.
asked_caches() {
	if [ -n "$1" ]; then
		echo "$1"
		return
	fi
	shift
	nix --extra-experimental-features nix-command config show substituters "$@" 2>/dev/null ||
		nix --extra-experimental-features nix-command show-config "$@" 2>/dev/null |
		sed -n 's/^substituters = //p'
}

# Tells whether all caches answer a small question that are asked over HTTP, where there are any. What they answer
# does not matter. The arguments are those of `asked_caches`.
all_answer() {
	found=1
	for cache in $(asked_caches "$@"); do
		case $cache in
		http://* | https://*) ;;
		*) continue ;;
		esac
		cache=${cache%%\?*}
		curl --disable --silent --globoff --user-agent nixdash/fetch --proto =http,https \
			--proto-redir =http,https --connect-timeout 5 --max-time 10 --max-filesize 1048576 \
			--output /dev/null "${cache%/}/nix-cache-info" </dev/null >/dev/null 2>&1 || return 1
		found=0
	done
	return "$found"
}

# Runs Nix. $1 after how many seconds without a byte a download is given up, $2 how often it is tried; then options.
fetch() {
	stalled=$1
	attempts=$2
	shift 2
	without_repeats nix-store --realise "$toplevel" --add-root "$root" --log-format internal-json -v \
		--option narinfo-cache-negative-ttl 0 --option max-jobs 0 --option builders '' \
		--option connect-timeout 5 --option stalled-download-timeout "$stalled" \
		--option download-attempts "$attempts" "$@"
}

mkdir -p "${2%/*}"
toplevel=$1
root=$2
shift 2
only=''
if [ "$#" = 1 ]; then
	only=$1
	set -- --option substituters "$1" --option extra-substituters ''
elif [ "$#" = 2 ]; then
	set -- --option extra-substituters "$1" --option extra-trusted-public-keys "$2"
fi
# Not through the daemon: it takes none of the limits of downloads from whoever asks it, root included.
export NIX_REMOTE=local
take_over_environment
fetch 15 2 "$@" && exit 0
if all_answer "$only" "$@"; then
	echo "the first try failed, but every cache answers, so it gets more time; asking the caches again"
	set -- 90 5 "$@"
else
	echo "the first try failed; asking the caches again"
	set -- 15 2 "$@"
fi
fetch "$@" --option narinfo-cache-positive-ttl 0
