# Prints who looks, whether curl is there, and below a line of dashes the settings that Nix works
# with. Root sees what the daemon sees: its own files, not those of whoever logged in.
# Arguments: none. Changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

if [ "$(id -u)" = 0 ]; then
	HOME=~root
	export HOME
	unset XDG_CONFIG_HOME XDG_CONFIG_DIRS NIX_CONFIG NIX_USER_CONF_FILES NIX_REMOTE
	printf 'root\tyes\n'
fi
if command -v curl >/dev/null 2>&1; then printf 'curl\tyes\n'; fi
printf '%s\n' '---'
nix --extra-experimental-features nix-command config show 2>/dev/null ||
	nix --extra-experimental-features nix-command show-config
