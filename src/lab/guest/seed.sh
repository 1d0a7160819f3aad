#!/bin/sh
# The steps that fill the stores of the practice fleet, each run inside one layer with the seed as /mnt:
# usage: seed.sh upstream                 builds what a public cache holds, and copies it into /mnt/static
#        seed.sh builder HOST…            builds the systems of all hosts and installs the first one's
#        seed.sh target HOST TOPLEVEL     fetches and installs one system
#        seed.sh more HOST…               builds the systems of further hosts on the builder
#        seed.sh anew HOST TOPLEVEL       fetches and installs the system of a further host over that of the host it is like
set -eu
step=$1
shift
export USER=root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export NIX_CONFIG='extra-experimental-features = nix-command'
static=file:///mnt/static
builder=file:///mnt/builder-cache

configure() {
  mkdir -p /run/nixdash-lab /etc/nix
  : >/run/nixdash-lab/fast
  cat >/etc/nix/nix.conf <<END
build-users-group =
sandbox = false
substituters = $*
trusted-public-keys = $(cat /mnt/keys/static.public) $(cat /mnt/keys/p620.public)
END
}

# A cache made by `nix copy` says its store directory only, and would be asked before all others.
describe_cache() {
  printf 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: %s\n' "$2" >"$1/nix-cache-info.new"
  mv "$1/nix-cache-info.new" "$1/nix-cache-info"
}

install_system() {
  nix-env --quiet -p /nix/var/nix/profiles/system --set "$1"
  ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
  ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
  "$1/bin/switch-to-configuration" boot
}

# Builds the systems of hosts and puts them where their targets fetch them.
build_systems() {
  for host in "$@"; do
    nix-build --quiet /mnt/flake/fleet.nix -A "toplevels.$host" --no-out-link -j 4 >"/mnt/toplevels/$host"
    ln -sfn "$(cat "/mnt/toplevels/$host")" "/nix/var/nix/gcroots/nixdash/$host"
  done
}

fill_builder_cache() {
  mkdir -p /mnt/builder-cache
  cat /mnt/toplevels/* | xargs nix copy --to "$builder?secret-key=/mnt/keys/p620.secret&compression=none"
  describe_cache /mnt/builder-cache 30
}

case $step in
upstream)
  configure ''
  nix-build --quiet /mnt/flake/fleet.nix -A upstream --no-out-link -j 4 | sort -u >/run/paths
  mkdir -p /mnt/static
  xargs nix copy --to "$static?secret-key=/mnt/keys/static.secret&compression=zstd" </run/paths
  describe_cache /mnt/static 20
  ;;
builder)
  configure "$static"
  build_systems "$@"
  install_system "$(cat "/mnt/toplevels/$1")"
  fill_builder_cache
  ;;
more)
  configure "$static"
  build_systems "$@"
  fill_builder_cache
  ;;
anew)
  configure "$static $builder"
  nix-store --quiet -r "$2" >/dev/null
  rm -f /nix/var/nix/profiles/system /nix/var/nix/profiles/system-*-link /boot/loader/entries/*
  install_system "$2"
  ;;
target)
  configure "$static $builder"
  if [ "$1" = razer ]; then
    useradd --create-home --shell /usr/bin/fish --groups wheel me
  fi
  # Somebody who may log in, and nothing else.
  if [ "$1" = samsung ]; then
    useradd --create-home --shell /bin/sh guest
  fi
  nix-store --quiet -r "$2" >/dev/null
  install_system "$2"
  ;;
*)
  echo "seed.sh: unknown step '$step'" >&2
  exit 2
  ;;
esac
rm -rf /root/.cache /nix/var/nix/gcroots/auto/*
