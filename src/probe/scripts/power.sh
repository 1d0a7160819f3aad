# shellcheck shell=sh
# What a machine says of its supplies of power. `say` is defined by the script that this is put before; it is
# put there when nixdash is compiled.

# Says one line of a file behind a key, where the file has one. $1 the key, $2 the file.
say_line() {
	supply_line=''
	if [ -r "$2" ]; then IFS= read -r supply_line <"$2" 2>/dev/null; fi
	[ -z "$supply_line" ] || say "$1" "$supply_line"
}

# Says `mains` (1 or 2 when connected), `battery` (a percentage) and `battery_status` of each supply. Many
# machines are fed by USB alone. A mouse or a headset has the scope Device.
say_power() {
	for supply in /sys/class/power_supply/*; do
		[ -r "$supply/type" ] || continue
		supply_scope=''
		[ ! -r "$supply/scope" ] || IFS= read -r supply_scope <"$supply/scope" 2>/dev/null
		[ "$supply_scope" != Device ] || continue
		IFS= read -r supply_type <"$supply/type" 2>/dev/null || continue
		case $supply_type in
		Mains | USB*) say_line mains "$supply/online" ;;
		Battery)
			say_line battery "$supply/capacity"
			say_line battery_status "$supply/status"
			;;
		esac
	done
}

