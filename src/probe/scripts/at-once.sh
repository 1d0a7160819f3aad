# Prints what `facts` says as one piece. Line by line it would arrive in as many packets, and each of
# them wakes nixdash. Put behind what defines `facts` when nixdash is compiled.
# shellcheck shell=sh

all=$(facts)
printf '%s\n' "$all"
