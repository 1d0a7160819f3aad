#!/bin/sh
# How long it takes to know how much of a closure of 1356 paths one cache holds, at 20 ms a round
# trip: nixdash, which knows the list from the host, beside `nix path-info -r --store` and
# `nix-store -r --dry-run`, which find the closure out from the cache as they go.
# Needs nginx, openssl, nix and curl. $1: rounds, 3 when it is not given. BENCH names the program
# that `cargo bench --bench coverage --no-run` built.
set -eu
rounds=${1:-3}
bench=$(realpath "${BENCH:?build it with: cargo bench --bench coverage --no-run}")
paths=1356
round_trip=20
dir=$(mktemp -d)
pids=
finish() {
	for pid in $pids; do kill "$pid" 2>/dev/null || :; done
	if [ -f "$dir/nginx.pid" ]; then kill "$(cat "$dir/nginx.pid")" 2>/dev/null || :; fi
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# A cache whose path N refers to 3N+1 … 3N+3: shallow, which helps whoever has to find it out.
mkdir "$dir/cache" "$dir/nix"
printf 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n' >"$dir/cache/nix-cache-info"
awk -v count="$paths" -v dir="$dir" '
	function base(n,   digits, text, i) {
		digits = "0123456789abcdfghijklmnpqrsvwxyz"
		text = ""
		for (i = 0; i < 32; i++) {
			text = substr(digits, n % 32 + 1, 1) text
			n = int(n / 32)
		}
		return text "-bench"
	}
	BEGIN {
		for (n = 0; n < count; n++) {
			name = base(n + 1)
			references = ""
			for (child = 3 * n + 1; child <= 3 * n + 3 && child < count; child++)
				references = references " " base(child + 1)
			file = dir "/cache/" substr(name, 1, 32) ".narinfo"
			printf "StorePath: /nix/store/%s\nURL: nar/x.nar\nCompression: none\n", name >file
			printf "NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n" >file
			printf "NarSize: 120\nReferences:%s\n", references == "" ? " " : references >file
			close(file)
			print "/nix/store/" name >(dir "/list")
		}
	}'

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
	-addext basicConstraints=critical,CA:FALSE \
	-keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
cat >"$dir/nginx.conf" <<END
daemon on;
pid $dir/nginx.pid;
error_log $dir/error.log;
worker_processes 2;
events { worker_connections 512; }
http {
	log_format connections '\$server_port \$connection';
	access_log $dir/connections connections;
	client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
	uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
	keepalive_requests 100000;
	server { listen 127.0.0.1:28081; root $dir/cache; }
	server {
		listen 127.0.0.1:28443 ssl http2;
		ssl_certificate $dir/cert.pem;
		ssl_certificate_key $dir/key.pem;
		root $dir/cache;
	}
}
END
chmod 755 "$dir"
nginx -c "$dir/nginx.conf" -p "$dir"
"$bench" delay 127.0.0.1:28082 127.0.0.1:28081 "$round_trip" &
pids="$pids $!"
"$bench" delay 127.0.0.1:28444 127.0.0.1:28443 "$round_trip" &
pids="$pids $!"
plain=http://127.0.0.1:28082
secure=https://localhost:28444
until curl --silent --fail --cacert "$dir/cert.pem" "$secure/nix-cache-info" >/dev/null; do
	sleep 0.1
done

root=$(head -n 1 "$dir/list")
now() { date +%s%N; }
# Nix starts each time without anything remembered, and in a store of its own that has nothing.
fresh() {
	rm -rf "$dir/nix"
	mkdir "$dir/nix"
	began=$(now)
	env HOME="$dir/nix" XDG_CACHE_HOME="$dir/nix/cache" NIX_STATE_DIR="$dir/nix/var" \
		NIX_SSL_CERT_FILE="$dir/cert.pem" NIX_REMOTE="local?root=$dir/nix/root" \
		NIX_CONFIG="substituters = $secure
require-sigs = false
experimental-features = nix-command" \
		"$@" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; return 1; }
	printf '%s ms, %s lines' "$((($(now) - began) / 1000000))" "$(cat "$dir/out" "$dir/err" | grep -c /nix/store/)"
}

# Measures nixdash at $1, which nginx knows as port $2, and counts the connections it took.
ours() {
	: >"$dir/connections"
	printf '%s' "$("$bench" measure "$1" "$dir/cert.pem" "$dir/list")"
	printf ', connections: %s' "$(grep "^$2 " "$dir/connections" | sort -u | wc -l)"
}

nix --version
printf '%s paths, %s ms a round trip\n' "$paths" "$round_trip"
round=1
while [ "$round" -le "$rounds" ]; do
	printf 'round %s\n' "$round"
	printf '  nixdash, HTTP/2:             %s\n' "$(ours "$secure" 28443)"
	printf '  nixdash, HTTP/1.1:           %s\n' "$(ours "$plain" 28081)"
	printf '  nix-store -r --dry-run:      %s (finds the closure out too)\n' "$(fresh nix-store -r --dry-run "$root")"
	if [ "$round" = 1 ]; then
		printf '  nix path-info -r --store:    %s (finds the closure out too)\n' \
			"$(fresh nix path-info -r --store "$secure" "$root")"
	fi
	round=$((round + 1))
done
