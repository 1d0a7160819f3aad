# Builds /run/current-system/sw: the tools of a stock NixOS, and nothing that one would have to ask for (no sqlite3, no python).
# The tools themselves are the base file system's own; only these names are in a host's PATH.
# shellcheck shell=sh disable=SC2154
mkdir -p "$out/bin" "$out/sbin" "$out/nix-support" "$out/share"
tools='
  [ arch b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df dir dirname du echo env expand
  expr factor false fmt fold groups head hostid id install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl
  nohup nproc numfmt od paste pathchk pr printenv printf ptx pwd readlink realpath rm rmdir seq sha1sum sha224sum sha256sum
  sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate
  tsort tty uname unexpand uniq unlink users wc who whoami yes
  find xargs grep egrep fgrep sed awk gawk diff cmp tar gzip gunzip zcat bzip2 bunzip2 xz unxz xzcat zstd unzstd zstdcat less
  sh bash getopt flock mountpoint mount umount findmnt lsblk lscpu dmesg logger more renice chrt ionice taskset setsid nsenter
  unshare kill column hexdump rev script losetup swapon swapoff blkid fsck mkfs mkswap hwclock switch_root
  ps pgrep pkill pidof free top uptime vmstat w watch sysctl pmap tload
  systemctl journalctl loginctl hostnamectl timedatectl networkctl resolvectl systemd-run systemd-analyze systemd-cat
  systemd-cgls systemd-cgtop systemd-detect-virt systemd-escape systemd-inhibit systemd-mount systemd-notify systemd-path
  systemd-tmpfiles systemd-sysusers systemd-ac-power busctl udevadm halt poweroff reboot shutdown
  nix nix-build nix-channel nix-collect-garbage nix-copy-closure nix-daemon nix-env nix-hash nix-instantiate
  nix-prefetch-url nix-shell nix-store
  ip ss bridge ping curl ssh scp sftp ssh-add ssh-agent ssh-keygen ssh-keyscan
  su passwd useradd userdel usermod groupadd getent locale hostname which fish perl man
'
for tool in $tools; do
  for directory in /usr/bin /usr/sbin; do
    if [ -e "$directory/$tool" ]; then
      ln -s "$directory/$tool" "$out/bin/$tool"
      break
    fi
  done
done

cat >"$out/bin/nixos-version" <<END
#!/bin/sh
case \${1:-} in
--hash | --revision) echo "${nixos##*.}" ;;
--configuration-revision) echo "\$0: configuration revision is unknown" >&2; exit 1 ;;
--json) echo '{"nixosVersion":"$nixos","nixpkgsRevision":"${nixos##*.}"}' ;;
*) echo "$nixos (Xantusia)" ;;
esac
END
chmod +x "$out/bin/nixos-version"
for dep in $deps; do
  echo "$dep"
done >"$out/nix-support/packages"
echo "created $(find "$out/bin" -type l | wc -l) symlinks in user environment"
