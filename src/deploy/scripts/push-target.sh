#!/bin/sh
# Says what a target asks of whoever copies a system to it, as the login user: lines of a word, a tab and
# a value.
say() { printf '%s\t%s\n' "$1" "$2"; }

main() {
	say user "$(id -un)"
	# Where / is emptied at each start, the server's keys lie elsewhere, and its configuration says where.
	{
		printf '%s\n' /etc/ssh/ssh_host_*_key.pub
		sed -n 's/^[[:space:]]*[Hh][Oo][Ss][Tt][Kk][Ee][Yy][[:space:]]\{1,\}\(.*[^[:space:]]\)[[:space:]]*$/\1.pub/p' /etc/ssh/sshd_config 2>/dev/null
	} | sort -u | while IFS= read -r key; do
		if [ -r "$key" ]; then say host-key "$(cut -d ' ' -f 1,2 "$key")"; fi
	done
	settings=$(nix --extra-experimental-features nix-command config show 2>/dev/null ||
		nix --extra-experimental-features nix-command show-config 2>/dev/null)
	for name in require-sigs trusted-public-keys trusted-users; do
		printf '%s\n' "$settings" | grep "^$name = " | while read -r line; do say setting "$line"; done
	done
}

main "$@"
