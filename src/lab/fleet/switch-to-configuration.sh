#!/bin/sh
# Stands in for NixOS's switch-to-configuration: same actions, lock, phrases, order and exit codes, where a deploy can see them.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
toplevel=@out@
broken=@broken@
amount=@amount@
units=/etc/systemd/system

# The real one panics where it cannot print, in the middle of whatever it does.
trap '' PIPE
say() {
  echo "$*" >&2 || exit 101
}

usage() {
  cat >&2 <<END
Usage: switch-to-configuration [check|switch|boot|test|dry-activate]
check:        run pre-switch checks and exit
switch:       make the configuration the boot default and activate now
boot:         make the configuration the boot default
test:         activate the configuration, but don't make it the boot default
dry-activate: show what would be done if this configuration were activated

END
  exit 1
}

# The boot menu holds what the profile's generations are; only one of them can be the default.
install_boot_loader() {
  entries=/boot/loader/entries
  default=
  [ "$broken" != slow-boot ] || sleep "$amount"
  mkdir -p "$entries" || return
  for link in /nix/var/nix/profiles/system-*-link; do
    [ -e "$link" ] || continue
    generation=${link##*/system-}
    generation=${generation%-link}
    target=$(readlink -f "$link")
    {
      printf 'title NixOS\nversion Generation %s NixOS %s\n' "$generation" "$(cat "$target/nixos-version")"
      printf 'linux %s\ninitrd %s\noptions init=%s/init\n' "$target/kernel" "$target/initrd" "$target"
    } >"$entries/.new" || return
    mv "$entries/.new" "$entries/nixos-generation-$generation.conf" || return
    if [ "$target" = "$toplevel" ] && [ "$generation" -gt "${default:-0}" ]; then
      default=$generation
    fi
  done
  for entry in "$entries"/nixos-generation-*.conf; do
    [ -e "$entry" ] || continue
    generation=${entry##*/nixos-generation-}
    [ -e "/nix/var/nix/profiles/system-${generation%.conf}-link" ] || rm -f "$entry"
  done
  if [ -z "$default" ]; then
    say "warning: no generation of the system profile is $toplevel; the boot default stays as it is"
    return 0
  fi
  printf 'timeout 5\ndefault nixos-generation-%s.conf\nconsole-mode keep\n' "$default" >/boot/loader/.new || return
  mv /boot/loader/.new /boot/loader/loader.conf || return
  sync
}

active_units() {
  systemctl list-units --plain --no-legend --no-pager 2>/dev/null | awk '$3 != "failed" { print $1 }' | sort
}

failed_units() {
  systemctl list-units --plain --no-legend --no-pager --state=failed 2>/dev/null | awk '{ print $1 }' | sort
}

# Newer systems refuse what may not change under a running system, by the first of the checks that a system brings along.
check_inhibitors() {
  if [ "$action" = boot ]; then
    echo "Not checking switch inhibitors (action = boot)"
    return 0
  fi
  printf 'Checking switch inhibitors...'
  if [ ! -e /run/current-system/switch-inhibitors ] ||
    cmp -s /run/current-system/switch-inhibitors "$toplevel/switch-inhibitors"; then
    echo " done"
    return 0
  fi
  cat <<END

There are changes to critical components of the system:

$(cat /run/current-system/switch-inhibitors) -> $(sed 's/.* : //' "$toplevel/switch-inhibitors")

Switching into this system is not recommended.
You probably want to run 'nixos-rebuild boot' and reboot your system instead.

If you really want to switch into this configuration directly, then
you can set NIXOS_NO_CHECK=1 to ignore pre-switch checks.

WARNING: doing so might cause the switch to fail or your system to become unstable.

END
  failed_check=switchInhibitors
  return 1
}

check_disk_space() {
  case $broken in
  pre-switch | errno)
    echo "/var/lib/fleet: 3 MiB are free, 40 MiB are needed"
    failed_check=diskSpace
    return 1
    ;;
  esac
}

# An older switch-to-configuration-ng ends with whatever error number was the last.
pre_switch_checks() {
  check_inhibitors && check_disk_space && return
  echo "Pre-switch check '$failed_check' failed"
  say "Pre-switch checks failed"
  [ "$broken" != errno ] || exit "$amount"
  exit 1
}

# Joins words by a comma, as the messages do.
listed() {
  echo "$*" | sed 's/ /, /g'
}

# Sorts the units that the fleet owns into: stop (gone or changed), start and restart (changed).
compare_units() {
  stop=
  start=
  restart=
  for unit in "$units"/*.service; do
    case $(readlink "$unit" 2>/dev/null) in /nix/store/*) ;; *) continue ;; esac
    name=${unit##*/}
    new=$toplevel/etc/systemd/system/$name
    systemctl --quiet is-active "$name" || continue
    if [ ! -e "$new" ]; then
      stop="$stop $name"
    elif ! cmp -s "$unit" "$new"; then
      if grep -q '^X-StopIfChanged=false' "$new"; then
        restart="$restart $name"
      else
        stop="$stop $name"
        start="$start $name"
      fi
    fi
  done
  port=etc/ssh/sshd_config.d/port.conf
  if [ -e "/$port" ] && ! cmp -s "/$port" "$toplevel/$port"; then
    restart="$restart sshd.service"
  fi
  stop=${stop# }
  start=${start# }
  restart=${restart# }
}

action=${1:-}
case $action in
check | switch | boot | test | dry-activate) ;;
*) usage ;;
esac
if [ "$(id -u)" != 0 ]; then
  say "Error: switch-to-configuration must be run as the root user"
  exit 1
fi
if ! [ -e /etc/NIXOS ]; then
  say "This is not a NixOS installation!"
  exit 1
fi

mkdir -p /run/nixos
exec 9>>/run/nixos/switch-to-configuration.lock || {
  say "Could not open lock"
  exit 1
}
flock -n 9 || {
  say "Could not acquire lock"
  exit 1
}
[ "${NIXOS_NO_CHECK:-}" = 1 ] || pre_switch_checks
[ "$action" != check ] || exit 0

case $action in
switch | boot)
  install_boot_loader 9>&- || {
    say "Failed to install bootloader"
    exit 1
  }
  ;;
esac
[ "$action" != boot ] || exit 0

if ! cmp -s /run/current-system/init-interface-version "$toplevel/init-interface-version"; then
  say "Warning: the new NixOS configuration has an ‘init’ that is"
  say "incompatible with the current configuration.  The new configuration"
  say "won't take effect until you reboot the system."
  say ""
  exit 100
fi

# A terminal or a connection that goes away does not end a switch.
trap '' HUP
[ "$broken" != stubborn ] || trap '' TERM INT

compare_units
# shellcheck disable=SC2086 # lists of unit names, split on purpose
if [ "$action" = dry-activate ]; then
  [ -z "$stop" ] || say "would stop the following units: $(listed $stop)"
  say "would activate the configuration..."
  "$toplevel/dry-activate" "$toplevel" 9>&-
  [ -z "$restart" ] || say "would restart the following units: $(listed $restart)"
  [ -z "$start" ] || say "would start the following units: $(listed $start)"
  exit 0
fi

logger -t nixos -p user.info "switching to system configuration $toplevel" 9>&-
before=$(active_units)
code=0

# shellcheck disable=SC2086
if [ -n "$stop" ]; then
  say "stopping the following units: $(listed $stop)"
  systemctl stop $stop 9>&-
fi

say "activating the configuration..."
(
  trap - PIPE
  exec "$toplevel/activate" "$toplevel" 9>&-
) || {
  # The Perl one says nothing of its own.
  case $broken in perl-*) ;; *) say "Failed to run activate script" ;; esac
  code=2
}

systemctl reset-failed 9>&-
systemctl daemon-reload 9>&-
say "restarting sysinit-reactivation.target"
# shellcheck disable=SC2086
if [ -n "$restart" ]; then
  say "restarting the following units: $(listed $restart)"
  for unit in $restart; do
    systemctl restart "$unit" 9>&- 2>/dev/null || {
      say "Failed to restart $unit"
      code=4
    }
  done
fi
# shellcheck disable=SC2086
if [ -n "$start" ]; then
  say "starting the following units: $(listed $start)"
  for unit in $start; do
    systemctl start "$unit" 9>&- 2>/dev/null || {
      say "Failed to start $unit"
      code=4
    }
  done
fi
systemctl start multi-user.target 9>&-
if [ "$broken" = user-units ]; then
  say "reloading user units for me..."
  say "restarting the following user units: nixos-activation.service"
  say "Failed to restart user unit photo-sync.service"
  say "warning: the following user units failed: photo-sync.service"
  say "warning: user activation for me failed"
  code=4
fi
sleep 0.3

failed=$(failed_units)
after=$(active_units)
new=$(printf '%s\n' "$after" | grep -v '\.scope$' | while read -r unit; do
  printf '%s\n' "$before" | grep -qxF -e "$unit" || echo "$unit"
done)
# shellcheck disable=SC2086
[ -z "$new" ] || say "the following new units were started: $(listed $new)"
# shellcheck disable=SC2086
if [ -n "$failed" ]; then
  say "warning: the following units failed: $(listed $failed)"
  systemctl status --no-pager --full $failed 9>&-
  code=4
fi

if [ "$code" = 0 ]; then
  logger -t nixos -p user.info "finished switching to system configuration $toplevel" 9>&-
else
  logger -t nixos -p user.err "switching to system configuration $toplevel failed (status $code)" 9>&-
fi
exit "$code"
