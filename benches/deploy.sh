#!/bin/sh
# What one via-cache deploy of nixdash costs over the raw commands that a person would type, on the
# practice fleet (bring it up with `nixdash lab up`). Both do the same work, in turn, on fresh
# changes: send the flake, evaluate and build on p620, fetch on samsung, activate, make it boot.
# nixdash also plans, verifies the signature from the target, shows what differs, acknowledges over
# a new connection and checks. $1: rounds, 5 when it is not given. NIXDASH names the program.
set -eu
rounds=${1:-5}
nixdash=${NIXDASH:-target/release/nixdash}
hosts=$("$nixdash" lab status --json | sed -n 's/.*"hosts_file": *"\([^"]*\)".*/\1/p')
lab=${hosts%/*}
address() { "$nixdash" lab status --json | tr -d ' \n' | sed "s/.*\"name\":\"$1\",\"address\":\"\([^\"]*\)\".*/\1/"; }
p620=$(address p620)
samsung=$(address samsung)
at() { ssh -F "$lab/ssh_config" -o BatchMode=yes "$@"; }

raw() {
	# shellcheck disable=SC2016 # expands on p620
	source=$(git -C "$lab/flake" archive HEAD | at "$p620" 'd=$(mktemp -d); tar -xf - -C "$d"; echo "$d"')
	attribute="path:$source#nixosConfigurations.samsung.config.system.build.toplevel"
	drv=$(at "$p620" "nix --extra-experimental-features 'nix-command flakes' eval --raw '$attribute.drvPath'")
	out=$(at "$p620" "nix-store --realise '$drv' 2>/dev/null; rm -rf '$source'" | tail -n 1)
	at "$samsung" "nix-store --realise '$out' --option narinfo-cache-negative-ttl 0 >/dev/null 2>&1"
	at "$samsung" "nix-env -p /nix/var/nix/profiles/system --set '$out' && '$out/bin/switch-to-configuration' switch >/dev/null 2>&1"
}

ours() { "$nixdash" --hosts "$hosts" deploy samsung --yes >/dev/null; }

now() { date +%s%N; }
timed() {
	"$nixdash" lab bump samsung >/dev/null
	began=$(now)
	"$1"
	echo "$((($(now) - began) / 1000000))"
}

ours # samsung is on the newest system, and every path is warm
printf 'round  raw ms  nixdash ms\n'
round=1
while [ "$round" -le "$rounds" ]; do
	printf '%5s  %6s  %10s\n' "$round" "$(timed raw)" "$(timed ours)"
	round=$((round + 1))
done
began=$(now)
ours
printf 'unchanged: %s ms\n' "$((($(now) - began) / 1000000))"
