# Builds the tree that the activation links into /etc.
# shellcheck shell=sh disable=SC2154
mkdir -p "$out/etc/systemd" "$out/etc/ssh/sshd_config.d"
ln -s "$units" "$out/etc/systemd/system"
printf '%s\n' "$hostName" >"$out/etc/hostname"
printf 'Port %s\n' "$sshdPort" >"$out/etc/ssh/sshd_config.d/port.conf"
cat >"$out/etc/os-release" <<END
ANSI_COLOR="0;38;2;126;186;228"
BUILD_ID="$nixos"
DEFAULT_HOSTNAME=nixos
ID=nixos
NAME=NixOS
PRETTY_NAME="NixOS 25.11 (Xantusia)"
VERSION="25.11 (Xantusia)"
VERSION_CODENAME=xantusia
VERSION_ID="25.11"
END
