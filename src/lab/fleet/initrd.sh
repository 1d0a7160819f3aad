# Builds an initrd: bytes that depend on the kernel's modules, and a reference to them.
# shellcheck shell=sh disable=SC2154
mkdir -p "$out"
key=$(printf '%s' "$modules" | sha256sum | cut -c1-32)
head -c $((size * 1024)) /dev/zero |
  openssl enc -aes-128-ctr -nosalt -K "$key" -iv 00000000000000000000000000000000 >"$out/initrd"
printf '%s\n%s\n' "$modules" "$systemd" >"$out/contents"
echo "initrd: $((size / 1024)) MiB"
