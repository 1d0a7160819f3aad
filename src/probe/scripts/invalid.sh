# Prints which of the store paths on standard input, one per line, are not valid here. Runs as the
# login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

xargs nix-store --check-validity --print-invalid
