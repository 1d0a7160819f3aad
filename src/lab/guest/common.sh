#!/bin/sh
# Makes a Debian base look like NixOS where a deploy can see it: PATHs, sudo, nix-daemon, boot. Runs inside the base, once.
# usage: common.sh        (/mnt/guest holds stage-2.sh and network-later.sh)
set -eu

install -D -m 755 /mnt/guest/stage-2.sh /usr/lib/nixdash-lab/stage-2
install -D -m 755 /mnt/guest/network-later.sh /usr/lib/nixdash-lab/network-later
touch /etc/NIXOS
mkdir -p /boot/loader/entries /etc/nixdash-lab /etc/systemd/system.conf.d /etc/ssh/sshd_config.d /etc/systemd/system/sockets.target.wants

# A transient unit finds systemd's own tools and nothing else; so do other units that set no PATH.
cat >/etc/systemd/system.conf.d/nixos.conf <<'END'
[Manager]
DefaultEnvironment=PATH=/usr/lib/systemd
END
cat >/etc/ssh/sshd_config.d/nixos.conf <<'END'
SetEnv PATH=/run/wrappers/bin:/run/current-system/sw/bin
PasswordAuthentication no
PrintMotd no
UseDNS no
MaxStartups 30:30:100
END
rm -f /etc/ssh/ssh_host_*
cat >/etc/sudoers.d/nixos <<'END'
Defaults secure_path="/run/wrappers/bin:/run/current-system/sw/bin"
%wheel ALL=(ALL:ALL) NOPASSWD: ALL
END
chmod 440 /etc/sudoers.d/nixos
getent group wheel >/dev/null || groupadd --system wheel

cat >/etc/systemd/system/nix-daemon.socket <<'END'
[Unit]
Description=Nix Daemon Socket
Before=multi-user.target

[Socket]
ListenStream=/nix/var/nix/daemon-socket/socket
END
cat >/etc/systemd/system/nix-daemon.service <<'END'
[Unit]
Description=Nix Daemon
Requires=nix-daemon.socket

[Service]
Environment=PATH=/run/current-system/sw/bin
ExecStart=/usr/bin/nix-daemon --daemon
KillMode=process
LimitNOFILE=1048576
END
ln -sfn ../nix-daemon.socket /etc/systemd/system/sockets.target.wants/nix-daemon.socket
mkdir -p /nix/store /nix/var/nix/profiles /nix/var/nix/gcroots/nixdash /nix/var/nix/daemon-socket
chmod 1775 /nix/store

# Debian's own housekeeping is no part of a NixOS host.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer man-db.timer fstrim.timer \
  e2scrub_all.timer e2scrub_reap.service systemd-networkd-wait-online.service systemd-firstboot.service \
  systemd-resolved.service systemd-timesyncd.service nix-gc.timer console-getty.service getty.target ssh.socket; do
  ln -sfn /dev/null "/etc/systemd/system/$unit"
done
systemctl enable ssh.service >/dev/null 2>&1
rm -f /etc/resolv.conf
: >/etc/resolv.conf
