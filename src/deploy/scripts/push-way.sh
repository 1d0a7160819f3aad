#!/bin/sh
# Tries on the host that builds whether it can log in to a target. Prints lines of a word, a tab and a
# value; the first address that lets us in ends the search.
#
# $1 of which secret keys the public halves are told: `file` of the one in the file $2, `nix` of those with which
# the Nix of this host signs what it builds, `none` of none. $3 options for ssh, in words that no space is in; $4
# lines of known hosts to take instead of those that this host has, or nothing, and $5 the name of the target in
# them; then a user, a host and a port for each address.

say() { printf '%s\t%s\n' "$1" "$2"; }

# Says which key the file holds: its public half. $1 the file.
look_at_the_key() {
	if ! [ -r "$1" ]; then
		say no-key "$1"
		return
	fi
	public=$(nix --extra-experimental-features nix-command key convert-secret-to-public <"$1" 2>/dev/null)
	if [ -n "$public" ]; then say key "$public"; else say bad-key "$1"; fi
}

# Says with which keys the Nix of this host signs what it builds: their public halves.
look_at_the_keys_of_nix() {
	files=$(nix --extra-experimental-features nix-command config show secret-key-files 2>/dev/null ||
		nix --extra-experimental-features nix-command show-config 2>/dev/null | sed -n 's/^secret-key-files = //p')
	for file in $files; do
		[ -r "$file" ] || continue
		public=$(nix --extra-experimental-features nix-command key convert-secret-to-public <"$file" 2>/dev/null)
		if [ -n "$public" ]; then say nix-key "$public"; fi
	done
}

main() {
	# A key that only root can read is not looked at in a session.
	case $4,$1 in
	,file) look_at_the_key "$2" ;;
	,nix) look_at_the_keys_of_nix ;;
	esac
	options=$3
	if [ -n "$4" ]; then
		known=$(mktemp) || exit 1
		trap 'rm -f "$known"' EXIT
		printf '%s' "$4" >"$known"
		options="$3 -o UserKnownHostsFile=$known -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=$5"
	fi
	shift 5
	number=0
	while [ "$#" -ge 3 ]; do
		# shellcheck disable=SC2086 # one word per option
		if said=$(ssh $options -l "$1" -p "$3" -- "$2" true 2>&1 </dev/null); then
			say reached "$number"
			return
		fi
		say refused "$number	$(printf '%s' "$said" | tr -d '\r' | grep . | tail -n 1)"
		# A key that differs from the known one is told among many lines.
		case $said in *'IDENTIFICATION HAS CHANGED'*) say changed "$number" ;; esac
		number=$((number + 1))
		shift 3
	done
}

main "$@"
