# Writes a static binary cache with a real Nix, and a certificate for its server.
# $1: the folder that all goes into. $2: how many paths the cache holds.
# In the folder afterwards: cache/, paths (one a line), public (the key), ca.pem, other.pem (an
# authority that signed nothing), cert.pem and key.pem.
# shellcheck shell=sh
set -eu
cd "$1"
export HOME="$1" XDG_CACHE_HOME="$1/nix-cache"
unset NIX_STATE_DIR NIX_REMOTE
nix() { command nix --extra-experimental-features nix-command --option substituters "" "$@"; }
nix-store --generate-binary-cache-key static-1 secret public
mkdir files
n=0
while [ "$n" -lt "$2" ]; do
	echo "this is file $n" >"files/file-$n"
	n=$((n + 1))
done
nix-store --store "$1/root" --add files/* >paths
# shellcheck disable=SC2046 # one word per path
nix --store "$1/root" copy --to "file://$1/cache?secret-key=$1/secret" $(cat paths) 2>/dev/null

new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
for name in ca other; do
	$new -subj "/CN=$name" -addext basicConstraints=critical,CA:TRUE \
		-keyout "$name.key" -out "$name.pem" 2>/dev/null
done
$new -subj /CN=cache -CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 \
	-addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem 2>/dev/null
chmod 644 key.pem
