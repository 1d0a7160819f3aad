#!/bin/sh
# Says what a system was built from, on a host that built it, as the login user: prints
# `REVISION<TAB>FLAKE<TAB>WHO<TAB>SECONDS`, or nothing where that was not remembered. $1 the system.
note=/nix/var/nixdash/built-from/${1##*/}
if [ -r "$note" ]; then head -n 1 "$note"; fi
