#!/bin/sh
# Brings a host's /etc, wrappers and network to what this system wants, then makes it the current system. As in NixOS, a snippet
# that fails does not stop the rest: the current system is relinked all the same, and the exit status tells.
# shellcheck disable=SC2317 # the snippets are called by name
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
system=@out@
broken=@broken@
amount=@amount@
# While this is there, no activation can bring the network up.
stuck=/run/nixdash-lab/network-stuck
status=0
[ "$broken" != stubborn ] || trap '' TERM INT

snippet() {
  if "$1"; then
    :
  else
    code=$?
    echo "Activation script snippet '$1' failed ($code)" >&2
    status=1
  fi
}

wrappers() {
  mkdir -p /run/wrappers
  mountpoint -q /run/wrappers || mount -t tmpfs -o mode=755,size=16m tmpfs /run/wrappers || return
  mkdir -p /run/wrappers/bin
  for tool in sudo doas su mount umount passwd; do
    [ -e "/run/wrappers/bin/$tool" ] && continue
    cp "/usr/bin/$tool" "/run/wrappers/bin/$tool" && chmod 4755 "/run/wrappers/bin/$tool" || return
  done
}

etc() {
  echo "setting up /etc..."
  ln -sfn "$system/etc" /etc/static
  ln -sfn "$system/etc/os-release" /etc/os-release
  ln -sfn "$system/etc/ssh/sshd_config.d/port.conf" /etc/ssh/sshd_config.d/port.conf
  new=$(readlink -f "$system/etc/systemd/system")
  for directory in /etc/systemd/system /etc/systemd/system/multi-user.target.wants; do
    mkdir -p "$directory"
    for link in "$directory"/*; do
      case $(readlink "$link" 2>/dev/null) in
      /nix/store/*) [ -e "$new${directory#/etc/systemd/system}/${link##*/}" ] || rm -f "$link" ;;
      esac
    done
  done
  for unit in "$new"/*.service; do
    ln -sfn "$unit" "/etc/systemd/system/${unit##*/}"
  done
  for unit in "$new"/multi-user.target.wants/*.service; do
    ln -sfn "$new/${unit##*/}" "/etc/systemd/system/multi-user.target.wants/${unit##*/}"
  done
}

network() {
  ADDRESS=
  SECOND=
  # shellcheck disable=SC1091
  [ ! -r /etc/nixdash-lab/network ] || . /etc/nixdash-lab/network
  ip link show dev host0 >/dev/null 2>&1 || return 0
  if [ "$broken" = network ]; then
    echo "network: renaming host0 to lan0"
    ip link set host0 down
    return 0
  fi
  if [ "$broken" = network-stuck ]; then
    echo "network: host0: firmware crashed, reset failed"
    mkdir -p /run/nixdash-lab && : >"$stuck"
  fi
  if [ -e "$stuck" ]; then
    ip link set host0 down
    return 0
  fi
  ip link set host0 up || return
  [ -z "$ADDRESS" ] || ip address replace "$ADDRESS" dev host0
  [ -n "$SECOND" ] || return 0
  if [ "$broken" = address ]; then
    ip address delete "$SECOND" dev host0 2>/dev/null
    return 0
  fi
  ip address replace "$SECOND" dev host0
}

# Named as NixOS names what decrypts a host's secrets.
setupSecrets() {
  case $broken in
  snippet | perl-snippet | perl-snippet-unit)
    echo "sops-install-secrets: failed to decrypt '$system/secrets.yaml': no identity matched any of the recipients" >&2
    return 1
    ;;
  esac
  if [ -e /etc/nixdash-lab/no-secrets-key ]; then
    echo "sops-install-secrets: cannot read keyfile '/var/lib/sops-nix/key.txt': open /var/lib/sops-nix/key.txt: no such file or directory" >&2
    return 1
  fi
}

fleet_state() {
  case $broken in
  activation)
    echo "fleet_state: /var/lib/fleet: unknown state version 9" >&2
    return 1
    ;;
  slow)
    second=0
    while [ "$second" -lt "$amount" ]; do
      second=$((second + 1))
      echo "fleet_state: migrating ($second/$amount)"
      sleep 1
    done
    ;;
  stubborn)
    echo "fleet_state: waiting for /dev/fleet"
    while :; do
      sleep 1
    done
    ;;
  esac
}

snippet wrappers
snippet etc
snippet network
snippet setupSecrets
snippet fleet_state

mkdir -p /nix/var/nix/gcroots
ln -sfn "$system" /run/current-system
ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
exit "$status"
