#!/bin/sh
# Runs a hook on a host, as root. $1 seconds that it may take, then variables for its environment
# (NAME=VALUE), then the program and its arguments.
seconds=$1
shift
exec timeout -k 5 "$seconds" env "$@" </dev/null
