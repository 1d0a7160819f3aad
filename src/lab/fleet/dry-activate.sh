#!/bin/sh
# Says what the activation script would do.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
system=@out@
old=$(readlink -f /etc/static/os-release 2>/dev/null)
new=$(readlink -f "$system/etc/os-release")
[ "$old" = "$new" ] || echo "would update /etc/os-release"
exit 0
