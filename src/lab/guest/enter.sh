#!/bin/sh
# Runs a command in a root file system made of layers. Called under `unshare --mount --pid --fork`, so that every mount made
# here, and every process, is gone when it ends, however it ends.
# usage: enter.sh LOWER UPPER WORK ROOT SHARED COMMAND [ARGUMENT…]      SHARED (a directory) is seen as /mnt inside.
set -eu
lower=$1 upper=$2 work=$3 root=$4 shared=$5
shift 5

mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$shared" "$root/mnt"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" "$@"
