#!/bin/sh
# Starts a process of the lab so that it outlives the command that started it, in a control group of its own, and writes down
# who it is: "PID STARTTIME" (field 22 of /proc/PID/stat), so that nobody else's process is ever ended in its place.
# A command that exits with 133 is a container that was rebooted from inside; it is started again.
# usage: launch.sh RECORD LOG GROUP COMMAND [ARGUMENT…]
set -u
record=$1 log=$2 group=$3
shift 3
exec </dev/null >>"$log" 2>&1
# Whoever started this may hold locks by other descriptors; a host that keeps them open would hold them for as long as it runs.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

started() {
  sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20
}

# A control group with processes of its own may not divide what it has among others, so this script sits beside the command.
join() {
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$1" && echo 0 >"$hierarchy/$1/cgroup.procs"
  done
}
join "$group/launcher"

while :; do
  (
    join "$group"
    exec "$@"
  ) &
  child=$!
  printf '%s %s\n%s %s\n' $$ "$(started $$)" "$child" "$(started "$child")" >"$record.new"
  mv "$record.new" "$record"
  wait "$child"
  code=$?
  [ "$code" = 133 ] || exit "$code"
  echo "restarting after a reboot"
done
