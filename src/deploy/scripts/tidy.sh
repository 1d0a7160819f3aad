#!/bin/sh
# Removes what a run left on a host, as root: the folders of jobs that have ended (their logs were read),
# its claims in budgets, and its roots, of which the built and fetched systems stay for the next run. What
# other runs left long ago and nobody will ask for any more goes too; what runs is never touched.
# `units.sh` is put before it when nixdash is compiled. $1 what the run's jobs and roots are called.

# Prints the jobs of the run that left something, each once. $1 what they are called.
jobs() {
	for job in /run/nixdash/jobs/"$1"-* /var/lib/nixdash/jobs/"$1"-*; do
		name=${job##*/}
		if [ -e "$job" ] || [ -L "$job" ]; then printf '%s\n' "${name%.log}"; fi
	done | sort -u
}

# Removes what jobs of other runs left: folders of jobs that ended a day ago, and logs without a folder, as
# a restart leaves them.
remove_leftovers() {
	read -r up _ </proc/uptime
	# One that seems to be from before the machine started has another clock: it has not been there for a day.
	find /run/nixdash/jobs -mindepth 1 -maxdepth 1 -type d -mmin +1440 -mmin "-$((${up%%.*} / 60 + 2))" 2>/dev/null |
		while IFS= read -r old; do
			is_there "nixdash-${old##*/}" || rm -rf "$old"
		done
	for old in /var/lib/nixdash/jobs/*; do
		job=${old##*/}
		job=${job%.log}
		if [ -e "$old" ] && [ ! -e "/run/nixdash/jobs/$job" ] && ! is_there "nixdash-$job"; then
			rm -rf "$old"
		fi
	done
}

main() {
	roots=/nix/var/nix/gcroots/nixdash
	tag=$1
	# shellcheck disable=SC2046 # a list of names
	set -- $(jobs "$tag")
	gone "$@" | while read -r name; do
		rm -rf "/run/nixdash/jobs/$name" "/var/lib/nixdash/jobs/$name" "/var/lib/nixdash/jobs/$name.log"
	done
	remove_leftovers
	rm -f "$roots"/*."$tag".drv
	for claim in /run/nixdash/budget-*; do
		case $(head -n 1 "$claim" 2>/dev/null) in "id=$tag-"*) rm -f "$claim" ;; esac
	done
	for root in "$roots"/*."$tag"; do
		case $root in
		"$roots/fetched."*) kept=$roots/fetched ;;
		*) kept=${root%."$tag"}.next ;;
		esac
		[ -L "$root" ] || continue
		case $kept in
		# What is no system is nobody's next one.
		*.next) [ -e "$root/nixos-version" ] || [ -e "$root/bin/switch-to-configuration" ] || kept='' ;;
		esac
		if [ -n "$kept" ]; then mv -T "$root" "$kept"; else rm -f "$root"; fi
	done
	# What is remembered of systems that are gone.
	find /nix/var/nixdash/built-from -maxdepth 1 -type f -mmin +20160 2>/dev/null | while IFS= read -r note; do
		[ -e "/nix/store/${note##*/}" ] || rm -f "$note"
	done
	# What other runs left behind: a power cut, or a machine that never came back to it. A run that waits
	# for a laptop may take days. One whose jobs are here is of this start of the machine, whatever its clock says.
	find "$roots" -maxdepth 1 -type l -name '*.run-*' -mmin +20160 | while IFS= read -r root; do
		[ -n "$(jobs "run-${root##*.run-}")" ] || rm -f "$root"
	done
}

main "$@"
