# Prints which start of the machine this is, and whether it is still its initrd that answers, one
# `key<TAB>value` per line. Runs as the login user and changes nothing.
# shellcheck shell=sh
if [ -e /etc/initrd-release ]; then printf 'initrd\ttrue\n'; fi
if IFS= read -r boot_id </proc/sys/kernel/random/boot_id; then printf 'boot_id\t%s\n' "$boot_id"; fi
if [ -L /run/current-system ]; then printf 'running\t%s\n' "$(readlink -f /run/current-system)"; fi
