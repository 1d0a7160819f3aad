#!/bin/sh
# What a via-cache deploy costs, side by side, on a practice fleet (bring it up with
# `nixdash lab up --hosts 20`; with fewer hosts the larger numbers are left out). In every round each way
# deploys a system of its own, built beforehand, whose 46 or so paths none of the hosts has:
#
#   nixdash     `nixdash deploy`, with settle = "0s", parallel = the number of hosts, and no canary
#   raw         what a perfect tool would do over ONE shared connection a host: nix-store -r,
#               switch-to-configuration test, nix-env --set, switch-to-configuration boot; all hosts
#               at once; nothing is evaluated, planned, verified, checked or proven
#   deploy-rs   where its programs `deploy` and `activate` are on the PATH: with one evaluation,
#               magicRollback and autoRollback as they are by default, run on p620, which has the paths
#
# What is built is put into the static cache too, which answers any number of hosts at once: p620's
# has nix-serve's five workers, which wait a second for each connection that is kept open, and with
# many hosts nothing else would be measured.
#
# All ways exchange keys of ssh in the same way, KEX: the client here and the one of p620 may be of
# versions that differ in what they do by themselves, and the post-quantum exchange of clients before
# OpenSSH 9.9 takes some 0.15 s of processor for each login.
#
# It prints a table of milliseconds, the median of the rounds: one column for each way, what nixdash takes
# beyond the raw commands, its share of what deploy-rs takes, and the processor time of its own process,
# without that of the ssh processes that it starts. The last lines are of hosts that are unchanged (a clean
# flake that was evaluated before), and how long after a failed activation that is told.
# $1: rounds, 3 when not given. NIXDASH names the program; BEFORE names an older one, which is then a way
# of its own, `before`. COUNTS (numbers of hosts), TRIPS (milliseconds of round trip between a host and
# everything else) and WAYS say what is measured.
set -eu
rounds=${1:-3}
nixdash=${NIXDASH:-target/release/nixdash}
counts=${COUNTS:-1 2 4 12}
trips=${TRIPS:-0 20}
ways=${WAYS:-nixdash ${BEFORE:+before }raw deploy_rs}
kex=${KEX:-curve25519-sha256}
nixos=/nix/var/nix/profiles/system

status=$("$nixdash" lab status --json)
lab=$(printf '%s' "$status" | sed -n 's/.*"hosts_file":"\([^"]*\)\/hosts.toml".*/\1/p')
address() { printf '%s' "$status" | sed "s/.*\"name\":\"$1\",\"address\":\"\([^\"]*\)\".*/\1/"; }
targets=$(printf '%s' "$status" | grep -o '"name":"[a-z0-9]*","address":"root@' | cut -d'"' -f4 | grep -Ev '^(p620|p510)$')
if ! command -v deploy >/dev/null 2>&1 || ! command -v activate >/dev/null 2>&1; then
	ways=$(echo " $ways " | sed 's/ deploy_rs / /')
fi

available=$(printf '%s\n' "$targets" | wc -l)
counts=$(for count in $counts; do [ "$count" -gt "$available" ] || echo "$count"; done)

dir=$(mktemp -d)
finish() {
	for host in $targets; do "$nixdash" lab fault "$host" clear >/dev/null 2>&1 || :; done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

ours() { env XDG_STATE_HOME="$dir/state" "$nixdash" --hosts "$dir/hosts.toml" "$@"; }
at() { ssh -F "$dir/ssh_config" -o BatchMode=yes "$@"; }
git() { command git -C "$lab/flake" -c user.name=bench -c user.email=bench@localhost "$@"; }
now() { date +%s%N; }
since() { echo "$((($(now) - $1) / 1000000))"; }
first_of() { printf '%s\n' "$targets" | head -n "$1"; }

{ printf 'KexAlgorithms %s\n' "$kex" && cat "$lab/ssh_config"; } >"$dir/ssh_config"

# The fleet as it is measured. $1: how many hosts.
configure() {
	{
		sed -e 's/^evaluate = .*/evaluate = "builder"\nsettle = "0s"/' \
			-e "s|^ssh_config = .*|ssh_config = \"$dir/ssh_config\"|" "$lab/hosts.toml"
		printf '\n[rollout]\nparallel = %s\n' "$1"
		if "$nixdash" config keys | grep -q 'canary'; then echo 'canary = 0'; fi
	} >"$dir/hosts.toml"
}

# Makes a change that reaches nearly every path of every host, and builds it. $1: the number of the change.
prepare() {
	sed -i "s/\"glibc\": \"[^\"]*\"/\"glibc\": \"2.42-$1\"/" "$lab/flake/versions.json"
	git commit --quiet --all --message "change $1"
	# shellcheck disable=SC2086 # a list of hosts
	ours build $targets --quiet >"$dir/build.log" 2>&1 || {
		cat "$dir/build.log" >&2
		exit 1
	}
	systems=$(for host in $targets; do printf '%s.next ' "$host"; done)
	at "$(address p620)" "cd /nix/var/nix/gcroots/nixdash && rm -rf /var/tmp/bench &&
		nix --extra-experimental-features nix-command copy \
			--to 'file:///var/tmp/bench?secret-key=/etc/nix/secret-key&compression=none' \
			\$(readlink $systems) 2>/dev/null && rm -f /var/tmp/bench/nix-cache-info &&
		tar -C /var/tmp/bench -cf - ." | tar -C "$lab/static" -xf -
}

# The system that was just built for a host.
built() { at "$(address p620)" readlink "/nix/var/nix/gcroots/nixdash/$1.next"; }

# Runs a command and writes the processor time, in milliseconds, of its own process into a file: what
# it started is not in it. $1: the file.
measured() {
	python3 -c '
import os, sys
pid = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
# A process that has ended keeps its times until it is waited for.
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
with open(f"/proc/{pid}/stat") as stat:
    times = stat.read().rpartition(") ")[2].split()[11:13]
with open(sys.argv[1], "w") as out:
    print(sum(map(int, times)) * 10, file=out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
' "$@"
}

deploy_nixdash() { deploy_with "$nixdash" "$@"; }

# shellcheck disable=SC2317,SC2329 # by its name
deploy_before() { deploy_with "$BEFORE" "$@"; }

# Deploys with a nixdash. $1 the program, $2 how many hosts, $3 the file of results.
deploy_with() {
	program=$1
	shift
	# shellcheck disable=SC2046 # a list of hosts
	XDG_STATE_HOME="$dir/state" measured "$dir/cpu" "$program" --hosts "$dir/hosts.toml" deploy $(first_of "$1") --yes --json >"$dir/events" 2>"$dir/err" || {
		cat "$dir/events" "$dir/err" >&2
		exit 1
	}
	cat "$dir/cpu" >>"$dir/cpu.$2"
}

# $1 the host, $2 its system.
raw_host() {
	over() { at -o ControlMaster=auto -o ControlPersist=5 -o ControlPath="$dir/%C" "$(address "$1")" "$2" >/dev/null 2>&1; }
	over "$1" "nix-store -r '$2' --option narinfo-cache-negative-ttl 0"
	over "$1" "'$2/bin/switch-to-configuration' test"
	over "$1" "nix-env -p $nixos --set '$2'"
	over "$1" "'$2/bin/switch-to-configuration' boot"
}

deploy_raw() {
	pids=
	while read -r host system; do
		raw_host "$host" "$system" &
		pids="$pids $!"
	done <"$dir/systems"
	for pid in $pids; do wait "$pid"; done
}

# What deploy-rs needs on p620: its programs, a way to log in, and the fleet as it takes it.
prepare_deploy_rs() {
	for program in deploy activate; do
		at "$(address p620)" "mkdir -p /root/bench && cat >/root/bench/$program && chmod +x /root/bench/$program" \
			<"$(command -v "$program")"
	done
	at "$(address p620)" 'umask 077; cat >/root/.ssh/id_ed25519' <"$lab/id"
	at "$(address p620)" "printf 'Host 10.213.*\nStrictHostKeyChecking no\nKexAlgorithms $kex\n' >/root/.ssh/config"
	for host in $targets; do printf '"%s": "%s"\n' "$host" "$(address "$host" | cut -d@ -f2)"; done |
		paste -sd, | sed 's/.*/{&}/' >"$dir/addresses.json"
	at "$(address p620)" 'cat >/root/bench/addresses.json' <"$dir/addresses.json"
}

over_flakes() { at "$(address p620)" "export NIX_CONFIG='experimental-features = nix-command flakes' PATH=/root/bench:\$PATH; $*"; }

# The fleet's files as they are now, and the profiles built. $1: how many hosts.
build_deploy_rs() {
	git archive HEAD | at "$(address p620)" 'tar -C /root/bench -xf -'
	at "$(address p620)" 'cat >/root/bench/flake.nix' <"${0%/*}/deploy-rs.nix"
	for host in $(first_of "$1"); do
		over_flakes nix build --no-link "path:/root/bench#deploy.nodes.$host.profiles.system.path"
	done
}

# shellcheck disable=SC2317,SC2329 # by its name
deploy_deploy_rs() {
	nodes=$(for host in $(first_of "$1"); do printf ' path:/root/bench#%s' "$host"; done)
	over_flakes deploy --skip-checks --targets "$nodes" >"$dir/err" 2>&1 || { cat "$dir/err" >&2; exit 1; }
}

median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print NR ? all[int((NR + 1) / 2)] : "-" }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a + 0 && b + 0) printf "%.2f", a / b; else printf "-" }'; }

change=$(date +%s)
# Deploys a fresh change to $1 hosts in the way $2, in the file of results $3.
once() {
	change=$((change + 1))
	configure "$1"
	prepare "$change"
	for host in $(first_of "$1"); do echo "$host $(built "$host")"; done >"$dir/systems"
	[ "$2" != deploy_rs ] || build_deploy_rs "$1" >"$dir/build.log" 2>&1
	began=$(now)
	"deploy_$2" "$1" "$3"
	took=$(since "$began")
	while read -r host system; do
		# The profile of deploy-rs is one around the system.
		[ "$2" != deploy_rs ] || nixos=/run/current-system
		runs=$(at "$(address "$host")" "readlink /run/current-system; readlink -f $nixos" | sort -u)
		nixos=/nix/var/nix/profiles/system
		[ "$runs" = "$system" ] || { echo "$2 left $host at $runs instead of $system" >&2; exit 1; }
	done <"$dir/systems"
	echo "$took" >>"$dir/$3"
}

at "$(address p620)" 'mkdir -p /run/nixdash-lab; : >/run/nixdash-lab/fast'
# Every host is on a system of the bench, and every kind of path is warm.
configure 12
prepare "$change"
# shellcheck disable=SC2086
ours deploy $targets --yes --quiet >/dev/null 2>&1 || :

case " $ways " in *" deploy_rs "*) prepare_deploy_rs ;; esac
row='%-6s %-11s'
# shellcheck disable=SC2059 # the format is ours
printf "$row" 'hosts' 'round trip'
for way in $ways; do printf ' %10s' "$way"; done
printf ' %12s %12s %15s\n' 'beyond raw' '/ deploy-rs' 'processor time'
for trip in $trips; do
	for host in $targets; do
		"$nixdash" lab fault "$host" clear
		[ "$trip" = 0 ] || "$nixdash" lab fault "$host" latency "$trip"
	done
	for count in $counts; do
		round=1
		while [ "$round" -le "$rounds" ]; do
			for way in $ways; do once "$count" "$way" "$way-$count-$trip"; done
			round=$((round + 1))
		done
		# shellcheck disable=SC2059
		printf "$row" "$count" "$trip ms"
		for way in $ways; do printf ' %10s' "$(median "$dir/$way-$count-$trip")"; done
		ours=$(median "$dir/nixdash-$count-$trip" 2>/dev/null || echo -)
		raw=$(median "$dir/raw-$count-$trip" 2>/dev/null || echo -)
		theirs=$(median "$dir/deploy_rs-$count-$trip" 2>/dev/null || echo -)
		beyond=$(awk -v a="$ours" -v b="$raw" 'BEGIN { if (a + 0 && b + 0) printf "%+d", a - b; else printf "-" }')
		printf ' %12s %12s %15s\n' "$beyond" "$(ratio "$ours" "$theirs")" \
			"$(median "$dir/cpu.nixdash-$count-$trip" 2>/dev/null || echo -)"
	done
done

for host in $targets; do "$nixdash" lab fault "$host" clear; done

# What has nothing to do: every host of the fleet, unchanged, twice so that the second finds all warm.
all=$(printf '%s' "$status" | grep -o '"name":"[a-z0-9]*","address":"[a-z]*@' | cut -d'"' -f4)
configure "$(echo "$all" | wc -w)"
# shellcheck disable=SC2086
ours deploy $all --allow-protected p510 --yes --quiet >/dev/null 2>&1 || :
began=$(now)
# shellcheck disable=SC2086
ours deploy $all --allow-protected p510 --yes --json >"$dir/events" 2>/dev/null
took=$(since "$began")
printf '\n%s hosts unchanged: %s ms, %s evaluations\n' "$(echo "$all" | wc -w)" "$took" \
	"$(grep -c '"line":"evaluating on' "$dir/events" || :)"

# A failed activation: from the moment at which switch-to-configuration ended on the host, by the
# host's journal, to the line of it, to the end of the phase, and to the result, which comes when the
# host is back on its system. They share one clock.
"$nixdash" lab bump samsung --break activation >/dev/null
ours build samsung --quiet >/dev/null 2>&1
ours deploy samsung --yes --json >"$dir/events" 2>/dev/null || :
failed=$("$nixdash" lab shell samsung journalctl --quiet --output=short-unix -t nixos --grep='failed' -n 2 | head -n 1 | cut -d' ' -f1)
"$nixdash" lab bump --fix samsung >/dev/null
# $1: a pattern; prints how many milliseconds after the failure the first event of that kind came.
told() {
	at=$(grep -m 1 "$1" "$dir/events" | sed 's/.*"at":"\([^"]*\)".*/\1/')
	awk -v a="$(date -d "$at" +%s.%N)" -v b="$failed" 'BEGIN { printf "%d", (a - b) * 1000 }'
}
printf 'failed activation: line told after %s ms, result after %s ms (it goes back in between)\n' \
	"$(told 'test ended with exit code')" "$(told '"event":"result"')"
