# Builds the toplevel: the files that a NixOS system has, and the scripts that activate it.
# shellcheck shell=sh disable=SC2154
mkdir -p "$out/bin" "$out/specialisation"
ln -s "$kernel/lib/linux.so" "$out/kernel"
ln -s "$modules" "$out/kernel-modules"
ln -s "$initrd/initrd" "$out/initrd"
ln -s "$firmware" "$out/firmware"
ln -s "$systemPath" "$out/sw"
ln -s "$etc/etc" "$out/etc"
ln -s "$systemd" "$out/systemd"
printf '%s' "$nixos" >"$out/nixos-version"
printf '%s' "$platform" >"$out/system"
printf 'loglevel=4' >"$out/kernel-params"
# A change of this number means: only a reboot brings the system to life.
if [ "$broken" = reboot ]; then
  printf 'systemd 3' >"$out/init-interface-version"
else
  printf 'systemd 2' >"$out/init-interface-version"
fi
# What may not change under a running system: a system with another one is to be booted.
if [ "$broken" = inhibited ]; then
  printf 'dbus-implementation : broker\n' >"$out/switch-inhibitors"
else
  printf 'dbus-implementation : dbus\n' >"$out/switch-inhibitors"
fi

install_script() {
  printf '%s' "$1" | sed -e "s|@out@|$out|g" -e "s|@broken@|$broken|g" -e "s|@amount@|$amount|g" >"$2"
  chmod +x "$2"
}
install_script "$activate" "$out/activate"
install_script "$dryActivate" "$out/dry-activate"
install_script "$switchToConfiguration" "$out/bin/switch-to-configuration"
printf '#!/bin/sh\n# Started by the boot loader.\nexec /usr/lib/nixdash-lab/stage-2 %s\n' "$out" >"$out/init"
chmod +x "$out/init"
echo "nixos-system-$hostName-$nixos"
