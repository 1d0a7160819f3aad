#!/bin/sh
# What stands between a boot loader and systemd: starts the system that the boot default names, activates it, becomes systemd.
# usage: stage-2 [SYSTEM]
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
nvram=/etc/nixdash-lab/efivars
vendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
system=${1:-}
if [ -z "$system" ]; then
  entry=$(sed -n 's/^default //p' /boot/loader/loader.conf)
  # As in systemd-boot, what `bootctl set-default` wrote wins while there is such an entry: four bytes, then UTF-16.
  pinned=$(tail -c +5 "$nvram/LoaderEntryDefault-$vendor" 2>/dev/null | tr -d '\000')
  [ -z "$pinned" ] || [ ! -e "/boot/loader/entries/$pinned" ] || entry=$pinned
  system=$(sed -n 's/^options init=\(.*\)\/init.*/\1/p' "/boot/loader/entries/$entry")
fi
if [ ! -x "$system/activate" ]; then
  echo "stage-2: the boot default names no system that is here: '$system'" >&2
  exit 1
fi
# The firmware's variables, where a Linux that was started by EFI has them.
mkdir -p "$nvram"
if mount -t tmpfs -o size=64k,mode=755 tmpfs /sys/firmware; then
  mkdir -p /sys/firmware/efi/efivars
  mount --bind "$nvram" /sys/firmware/efi/efivars
fi
# A host whose root is made anew at every start keeps /nix, /boot and what it is told to keep: not nixdash's own folder.
if [ -e /etc/nixdash-lab/impermanent ]; then
  rm -rf /var/lib/nixdash
  mkdir -p /var/lib/nixdash
  mount -t tmpfs -o size=32m,mode=755 tmpfs /var/lib/nixdash
fi
echo "<<< NixOS Stage 2 >>> $system"
ln -sfn "$system" /run/booted-system
"$system/activate" "$system"
exec /usr/lib/systemd/systemd
