#!/bin/sh
# Removes what a run left on a host, as root: the folders of jobs that have ended (their logs were read),
# its claims in budgets, and its roots, of which the built and fetched systems stay for the next run.
# `units.sh` is put before it when nixdash is compiled. $1 what the run's jobs and roots are called.
main() {
	roots=/nix/var/nix/gcroots/nixdash
	tag=$1
	for job in /run/nixdash/jobs/"$tag"-* /var/lib/nixdash/jobs/"$tag"-*; do
		name=${job##*/}
		name=${name%.log}
		is_there "nixdash-$name" || rm -rf "$job"
	done
	rm -f "$roots"/*."$tag".drv
	for claim in /run/nixdash/budget-*; do
		case $(head -n 1 "$claim" 2>/dev/null) in "id=$tag-"*) rm -f "$claim" ;; esac
	done
	for root in "$roots"/*."$tag"; do
		case $root in
		"$roots/fetched."*) kept=$roots/fetched ;;
		*) kept=${root%."$tag"}.next ;;
		esac
		[ ! -L "$root" ] || mv -T "$root" "$kept"
	done
	# What other runs left behind: a power cut, or a machine that never came back to it. A run that waits
	# for a laptop may take days.
	find "$roots" -maxdepth 1 -type l -name '*.run-*' -mmin +20160 -exec rm -f {} +
}

main "$@"
