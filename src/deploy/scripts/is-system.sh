#!/bin/sh
# Says whether a path of the store is a system of NixOS, as the login user: prints `yes` or `no`. One that
# nothing can activate is a system too. $1 the path.
if [ -e "$1/nixos-version" ] || [ -e "$1/bin/switch-to-configuration" ]; then echo yes; else echo no; fi
