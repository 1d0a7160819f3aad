#!/bin/sh
# Sets up and runs every test of nixdash on a Debian machine with Rust: the plain ones, and, as
# root, those on three practice fleets (four real hosts in containers each), which are brought up for
# them and taken down afterwards, also when a test fails. Can be run again and again.
# Installs with apt-get what is missing; needs no KVM. TESTS=plain leaves the fleets out. NIXDASH_NOM names a
# checkout of nix-output-monitor, whose recordings are counted too then.
#
# `tests/run.sh matrix [FILE]` tries the deploy machine with 100,000 orders of events, and runs the whole
# fault matrix instead (every fault in every phase, some twenty minutes), on a fleet of its own, and prints its table as Markdown, also into FILE.
# NIXDASH_MATRIX=partition-5s,killed/fetch runs these faults or pairs only.
set -eu
if [ "${1:-}" = matrix ]; then
	table=$(realpath -m "${2:-/dev/null}")
fi
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# command:package pairs
needed="cc:build-essential git:git tar:tar shellcheck:shellcheck tmux:tmux ssh:openssh-client
curl:curl nix:nix-bin mmdebstrap:mmdebstrap systemd-nspawn:systemd-container ip:iproute2 nft:nftables
perl:perl python3:python3 openssl:openssl"

missing=
for pair in $needed; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	say "installing:$missing"
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "not root on Debian: install these by hand, then run this again:$missing" >&2
		exit 1
	fi
	apt-get update -qq
	# shellcheck disable=SC2086 # one word per package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

if [ "${1:-}" = matrix ]; then
	say "the deploy machine: 100,000 orders of events"
	ORDERS=100000 cargo test --release --lib -- machine::tests::properties
	export NIXDASH_LAB_NAME=test-matrix NIXDASH_MATRIX_TABLE="$table"
	cargo build --tests
	nixdash=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/nixdash
	trap '"$nixdash" lab down || true' EXIT
	trap 'exit 130' INT TERM
	"$nixdash" lab down
	"$nixdash" lab up --yes --hosts "${HOSTS:-14}"
	cargo test --test it -- --ignored --nocapture lab::matrix::whole
	# Twenty kills at random moments, and runs that are left in every phase: a quarter of an hour.
	cargo test --test it -- --ignored --test-threads=1 lab::reattach
	exit
fi

say "plain tests"
cargo test
if [ "$(id -u)" = 0 ]; then
	# As in a container, whoever began the session and our group is outside.
	say "the terminal's tests in a namespace of processes"
	unshare --pid --fork --mount-proc cargo test --test it terminal::
fi

target=$(cargo metadata --format-version 1 --no-deps |
	sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
moto=$target/moto
if ! [ -x "$moto/bin/moto_server" ]; then
	say "installing moto, a stand-in for S3, into $moto"
	python3 -m venv "$moto"
	"$moto/bin/pip" install --quiet --disable-pip-version-check 'moto[server]>=5.2,<6'
fi
say "tests on moto"
NIXDASH_MOTO=$moto/bin/moto_server cargo test --test it -- --ignored moto::

# Recordings that others own and that are not kept here.
if [ -n "${NIXDASH_NOM:-}" ]; then
	say "recordings of nix-output-monitor in $NIXDASH_NOM"
	cargo test --test it -- --ignored nom::
fi

# Prints where a server's program is, which is unpacked from its Debian package where it is not
# installed: installing the package would start a service. The libraries that it needs are installed.
# $1: the package, $2: the program in it.
program_of() {
	if command -v "${2##*/}"; then return; fi
	if ! [ -x "$target/$1/$2" ] && command -v apt-get >/dev/null 2>&1; then
		say "unpacking $1" >&2
		rm -rf "${target:?}/$1"
		mkdir -p "$target/$1"
		[ "$(id -u)" != 0 ] || apt-get update -qq >&2
		(cd "$target/$1" && apt-get download -q "$1" && dpkg-deb -x "$1"_*.deb .) >&2
	fi
	if [ "$(id -u)" = 0 ] && ldd "$target/$1/$2" 2>/dev/null | grep -q 'not found'; then
		libraries=$(dpkg-deb -f "$target/$1/$1"_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p')
		# shellcheck disable=SC2086 # one word per package
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $libraries >&2
	fi
	if [ -x "$target/$1/$2" ]; then echo "$target/$1/$2"; fi
}

NIXDASH_SSHD=$(program_of openssh-server usr/sbin/sshd)
if [ -n "$NIXDASH_SSHD" ]; then
	say "tests on an ssh server"
	# As root it drops its rights to those of this user, whom its package makes.
	if [ "$(id -u)" = 0 ] && ! id sshd >/dev/null 2>&1; then
		useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd
	fi
	NIXDASH_SSHD=$NIXDASH_SSHD cargo test --test it -- --ignored --test-threads 1 connections::
fi

NIXDASH_PROMETHEUS=$(program_of prometheus usr/bin/prometheus)
NIXDASH_PROMTOOL=$(program_of prometheus usr/bin/promtool)
export NIXDASH_PROMETHEUS NIXDASH_PROMTOOL
if [ -n "$NIXDASH_PROMETHEUS" ]; then
	say "tests with Prometheus"
	cargo test --test it -- --ignored prometheus::
else
	say "there is no Prometheus here: its test was left out"
fi

NIXDASH_NGINX=$(program_of nginx usr/sbin/nginx)
export NIXDASH_NGINX
if [ -n "$NIXDASH_NGINX" ]; then
	say "tests with a static cache on nginx, HTTP/2 over TLS"
	cargo test --test it -- --ignored static_http2::
else
	say "there is no nginx here: its tests were left out"
fi

# Prints a folder with the Nix of a Debian suite and what it needs, unpacked and not installed.
# $1: the suite.
nix_of() {
	root=$target/nix-$1
	if ! [ -x "$root/usr/bin/nix" ]; then
		# shellcheck disable=SC2016 # apt-get puts the address there
		mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
		[ -n "$mirror" ] || return 0
		say "unpacking the Nix of $1" >&2
		rm -rf "${root:?}"
		mmdebstrap --quiet --variant=extract --components=main --include=nix-bin \
			--aptopt='Acquire::Check-Valid-Until "false"' "$1" "$root" "$mirror" >&2
	fi
	echo "$root"
}

if command -v mmdebstrap >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
	older=$(nix_of trixie)
	newer=$(nix_of sid)
	say "what the Nix of Debian's suites makes of narinfos"
	NIXDASH_NIX_ROOTS=$older:$newer cargo test --test it -- --ignored narinfo_truth::
else
	say "there is no mmdebstrap here: the comparison with other versions of Nix was left out"
fi

if [ "${TESTS:-all}" = plain ] || [ "$(id -u)" != 0 ]; then
	say "the tests on the practice fleet need root and were left out"
	exit 0
fi

say "tests that mount small disks"
cargo test --test it -- --ignored full_disk

nixdash=$target/debug/nixdash
others="test"
first="test-attack-1"
second="test-attack-2"
third="test-deploys"
running=
before=
# Ends what this script started, also when a test fails.
take_down() {
	for process in $running; do kill "$process" 2>/dev/null || true; done
	for lab in "$others" "$first" "$second" "$third"; do NIXDASH_LAB_NAME=$lab "$nixdash" lab down || true; done
	[ -z "$before" ] || echo "$before" >/proc/sys/fs/inotify/max_user_instances
}
trap take_down EXIT
trap 'exit 130' INT TERM

# Each host takes seven of the kernel's inotify instances, and 128 hold some eighteen hosts.
instances=/proc/sys/fs/inotify/max_user_instances
before=$(cat "$instances")
if [ "$before" -lt 1024 ]; then
	say "raising fs.inotify.max_user_instances from $before to 1024 until the tests have ended"
	echo 1024 >"$instances"
fi

say "bringing four practice fleets up (the first time takes a minute or two)"
for lab in "$others" "$first" "$second" "$third"; do NIXDASH_LAB_NAME=$lab "$nixdash" lab down; done
NIXDASH_LAB_NAME=$others "$nixdash" lab up --yes --seaweed
NIXDASH_LAB_NAME=$first "$nixdash" lab up --yes
NIXDASH_LAB_NAME=$second "$nixdash" lab up --yes --hosts 10
NIXDASH_LAB_NAME=$third "$nixdash" lab up --yes

# Attacks a fleet, in the background: $1 the fleet, the rest the tests.
attack() {
	lab=$1
	shift
	NIXDASH_LAB_NAME=$lab cargo test --test it -- --ignored --test-threads=1 "$@" >"$target/$lab.log" 2>&1 &
	running="$running $!"
}

say "tests on the practice fleets: deploys are attacked on two, and everything else is tried on two more"
# They wait for networks and restarts most of the time, so all are tried at once.
# The fixed part of the fault matrix has hosts of its own on the second, and runs beside the rest.
attack "$first" lab::attack_activation lab::attack_cut lab::attack_user lab::flood
attack "$second" lab::matrix::fixed lab::attack_full lab::attack_killed
attack "$third" lab::attack_network lab::reattach::one_process lab::reattach::a_run_that_was_left lab::generations lab::rollout lab::root lab::strategies
failed=
NIXDASH_LAB_NAME=$others cargo test --test it -- --ignored --test-threads=1 lab:: --skip lab::attack --skip lab::matrix --skip lab::reattach --skip lab::flood \
	--skip lab::generations --skip lab::rollout --skip lab::root --skip lab::strategies || failed=yes
for process in $running; do
	wait "$process" || failed=yes
done
running=
for lab in "$first" "$second" "$third"; do
	say "the attacks on $lab"
	cat "$target/$lab.log"
done
[ -z "$failed" ] || exit 1
