# Prints what systemd knows of the units in its memory, as `systemctl show` writes it: properties of a
# unit, then an empty line; and at last `end<TAB>yes`. `says.sh` is put before it when nixdash is
# compiled. Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

timeout -s KILL 20 systemctl show --no-pager --timestamp=unix \
	--property=Id,Description,ActiveState,SubState,Result,ExecMainStatus,StateChangeTimestamp,NRestarts,MemoryCurrent \
	-- '*.service' '*.socket' '*.timer' '*.mount' '*.automount' '*.swap' '*.path' && {
	echo
	say end yes
}
