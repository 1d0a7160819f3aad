# Builds one package: prints what a build prints, writes bytes that depend on its name only, refers to its dependencies.
# In a seeding run (/run/nixdash-lab/fast) nothing sleeps; the result is the same.
# shellcheck shell=sh disable=SC2154
pause() {
  [ -e /run/nixdash-lab/fast ] || sleep "$1"
}
phase() {
  printf '@nix { "action": "setPhase", "phase": "%s" }\n' "$1" >&2
  echo "Running phase: $1"
}

phase unpackPhase
echo "unpacking source archive $pname-$version.tar.xz"
phase configurePhase
echo "checking for a BSD-compatible install... /usr/bin/install -c"
echo "checking whether build environment is sane... yes"
phase buildPhase
line=0
steps=$((seconds * 10))
[ "$steps" -gt 0 ] || steps=1
each=$(((lines + steps - 1) / steps))
while [ "$line" -lt "$lines" ]; do
  in_step=0
  while [ "$in_step" -lt "$each" ] && [ "$line" -lt "$lines" ]; do
    line=$((line + 1))
    in_step=$((in_step + 1))
    echo "[$line/$lines] CC src/$pname/part$line.o"
  done
  [ "$seconds" -eq 0 ] || pause 0.1
  if [ -n "$failing" ] && [ "$line" -gt $((lines / 2)) ]; then
    echo "src/$pname/part$line.c: In function 'connect_to_fleet':" >&2
    echo "src/$pname/part$line.c:118:17: error: implicit declaration of function 'fleet_open'; did you mean 'file_open'?" >&2
    echo "make: *** [Makefile:42: src/$pname/part$line.o] Error 1" >&2
    exit 1
  fi
done

# 25,000 lines a second, some with colours, one in fifty long.
if [ -n "${loud:-}" ]; then
  awk -v lines="$loud" -v pname="$pname" 'BEGIN {
    while (length(flags) < 600) flags = flags " -DPART_" length(flags)
    for (line = 1; line <= lines; line++) {
      if (line % 50 == 0) printf "gcc -O2 -c part%d.c%s\n", line, flags
      else if (line % 7 == 0) printf "\033[35mwarning:\033[0m src/%s/part%d.c: unused variable\n", pname, line
      else printf "loud %d of %d\n", line, lines
      if (line % 2500 == 0) {
        fflush()
        system("[ -e /run/nixdash-lab/fast ] || sleep 0.1")
      }
    }
  }'
fi

phase installPhase
mkdir -p "$out/bin" "$out/lib" "$out/share/doc" "$out/nix-support"
key=$(printf '%s' "$pname-$version" | sha256sum | cut -c1-32)
# Two thirds that no compression makes smaller, one third that it does.
head -c $((size * 1024 * 2 / 3)) /dev/zero |
  openssl enc -aes-128-ctr -nosalt -K "$key" -iv 00000000000000000000000000000000 >"$out/lib/$pname.so"
yes "$pname $version: documentation, one line after the other" 2>/dev/null |
  head -c $((size * 1024 / 3)) >"$out/share/doc/$pname.txt"
printf '#!/bin/sh\necho %s %s\n' "$pname" "$version" >"$out/bin/$pname"
chmod +x "$out/bin/$pname"
for dep in $deps; do
  echo "$dep"
done >"$out/nix-support/propagated-build-inputs"
echo "installed $pname-$version to $out"
phase fixupPhase
echo "shrinking RPATHs of ELF executables and libraries in $out"
