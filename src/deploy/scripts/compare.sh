#!/bin/sh
# Keeps a derivation from the garbage collector until it is built, and asks what realising it would take, as
# root on the host that builds; Nix answers on standard error. A system that is there already is kept too, and
# nothing is asked then.
#
# `hold.sh` is put before it when nixdash is compiled.
#
# $1 the derivation, $2 the system that it builds, $3 the root of that; the root of the derivation is called the
# same with `.drv` behind it. $4 the revision that it is built from, where that is known, $5 the flake and $6
# who builds it: remembered for whoever deploys it later. $7 and $8, where no cache is asked, are the stores to
# take paths from instead and the options of ssh to them.
#
# A cache that takes the question and does not answer must not hold the plan up: Nix may ask for a minute and a half.
#
# Prints the bytes that are free below /nix; `invalid` where the derivation is not in the store; `unrooted` and
# why, with a tab between, where it could not be kept; `rooted` where the system is there and kept. Of a system
# that is not there, prints `there<TAB>NAME` for each path that it may be made of and that is there already, and
# then `derivation<TAB>` and the text of its derivation.

# Remembers what a system is built from; that this cannot be done is no failure. $1 the system, then the
# revision, the flake and who builds it.
remember() {
	notes=/nix/var/nixdash/built-from
	mkdir -p "$notes" &&
		printf '%s\t%s\t%s\t%s\n' "$2" "${3:-unknown}" "${4:-unknown}" "$(date +%s)" >"$notes/.${1##*/}" &&
		mv "$notes/.${1##*/}" "$notes/${1##*/}"
}

# Makes the root of a derivation. $1 the derivation, $2 its root.
root_derivation() {
	[ -d "${2%/*}" ] || mkdir -p "${2%/*}" || return
	ln -sfn "$1" "$2"
}

# Makes the root of a system that is there; fails where it is not. $1 the system, $2 its root.
root_system() {
	[ -e "$1" ] && ln -sfn "$1" "$2" || return
	# Looked at with the root in place: what is there now stays.
	hold "$1" && nix-store --check-validity "$1" 2>/dev/null && return
	rm -f "$2"
	return 1
}

# Prints what is needed to build derivations, each path once: the outputs of other derivations that they ask
# for, and files. Read from the derivations themselves, without Nix. Every package needs a stdenv to be built, and
# none needs it to run: that one is left out, with the compilers that it brings. Derivations are on standard
# input, one per line.
needed_to_build() {
	awk '
		# Notes the outputs that a derivation needs of others, and prints the files that it needs.
		function needs(drv, text, at, count, inputs, words, parts, i, j) {
			if ((getline text <drv) <= 0 || text !~ /^Derive\(/) { close(drv); return }
			close(drv)
			# Outputs, inputs and files are the first three lists.
			text = substr(text, index(text, "],[") + 3)
			if (text !~ /^\]/) {
				at = index(text, "])],[")
				count = split(substr(text, 1, at - 1), inputs, /\]\),\(/)
				for (i = 1; i <= count; i++) {
					parts = split(inputs[i], words, "\"")
					for (j = 4; j <= parts; j += 2) wanted[words[2]] = wanted[words[2]] " " words[j] " "
				}
				text = substr(text, at + 5)
			} else text = substr(text, 4)
			parts = split(substr(text, 1, index(text, "]") - 1), words, "\"")
			for (j = 2; j <= parts; j += 2) note(words[j])
		}
		# Prints where these outputs of a derivation go. One whose hash is fixed is what somebody downloads to
		# build from: an archive or a patch.
		function outputs(drv, names, text, count, each, words, i) {
			if ((getline text <drv) <= 0 || text !~ /^Derive\(/) { close(drv); return }
			close(drv)
			count = split(substr(text, 9, index(text, "],[") - 9), each, /\),\(/)
			for (i = 1; i <= count; i++) {
				split(each[i], words, "\"")
				if (words[8] == "" && index(names, " " words[2] " ")) note(words[4])
			}
		}
		function note(path) { if (path != "" && !(path in seen)) { seen[path]; print path } }
		{ needs($0) }
		END { for (drv in wanted) if (drv !~ /-stdenv[A-Za-z]*-linux\.drv$/) outputs(drv, wanted[drv]) }'
}

# Prints those of the paths on standard input that are there.
only_existing() {
	while IFS= read -r path; do
		[ ! -e "$path" ] || printf '%s\n' "$path"
	done
}

# Prints the closures of paths; fails where one of them is not valid. $1 the paths, one per line.
closures() {
	[ -z "$1" ] || printf '%s\n' "$1" | xargs nix-store --query --requisites 2>/dev/null
}

# Prints the name of each path that derivations may bring into a system and that is there already. Derivations are
# on standard input, one per line.
print_what_is_there() {
	paths=$(needed_to_build | only_existing)
	{
		closures "$paths" || {
			# What was left of a build that broke off is there and not valid.
			invalid=$(printf '%s\n' "$paths" | xargs nix-store --check-validity --print-invalid)
			closures "$(printf '%s\n' "$paths" | grep -vxF "$invalid")"
		}
	} | awk '{ name = substr($0, 45) } name != "" && !(name in seen) { seen[name]; print "there\t" name }'
}

main() {
	df -P -B1 /nix/store | awk 'NR == 2 { print $4 }'
	drv=$1 system=$2 root=$3
	# Without its file it is not valid, and Nix would look for it in caches.
	if [ ! -e "$drv" ]; then
		echo invalid
		return
	fi
	if why=$(root_derivation "$drv" "$root.drv" 2>&1); then
		# A collector may have taken it a moment before.
		if ! hold "$drv"; then
			rm -f "$root.drv"
			echo invalid
			return
		fi
		[ -z "$4" ] || remember "$system" "$4" "$5" "$6"
		if root_system "$system" "$root"; then
			echo rooted
			return
		fi
	else
		printf 'unrooted\t%s\n' "$why"
	fi
	if [ "$#" = 8 ]; then
		# Not through the daemon, which has its own settings of ssh.
		export NIX_REMOTE=local NIX_SSHOPTS="$8"
		set -- --option substituters "$7" --option extra-substituters ''
	else
		set --
	fi
	{
		said=$(timeout 90 nix-store --realise --dry-run "$drv" "$@" 2>&1 >&3)
		code=$?
	} 3>&1
	printf '%s\n' "$said" >&2
	# A file may be left of a derivation that is not valid any more, and Nix does not know how to build that.
	case $code,$said in
	0,*"don't know how to build"* | [!0]*) nix-store --check-validity "$drv" 2>/dev/null || echo invalid ;;
	0,*)
		{
			printf '%s\n' "$drv"
			printf '%s\n' "$said" | sed -n 's|^[[:space:]]*\(/nix/store/[^[:space:]]*\.drv\)$|\1|p' | grep -vxF "$drv"
		} | print_what_is_there
		printf 'derivation\t%s\n' "$(cat "$drv")"
		;;
	esac
	return "$code"
}

main "$@"
