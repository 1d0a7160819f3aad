# Prints what a host is to a fleet: whether it runs NixOS, its system and processors, and which
# servers of its own store run there. `says.sh` is put before it when nixdash is compiled.
# Arguments: none. Runs as the login user and changes nothing.
# shellcheck shell=sh

if [ -e /run/current-system ] || [ -e /etc/NIXOS ]; then say nixos true; fi
say system "$(uname -m)-linux"
say cpus "$(nproc 2>/dev/null)"
for server in nix-serve harmonia; do
	for unit in "$server.service" "$server.socket"; do
		if [ "$(limited systemctl is-active "$unit")" = active ]; then
			say serves "$server"
			break
		fi
	done
done
