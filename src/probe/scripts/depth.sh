# Looks closely at this host's store: `saved<TAB>bytes` that hard links save, then
# `dead<TAB>paths<TAB>bytes`, which no root keeps alive, by their NAR sizes. Deletes nothing.
# Arguments: none. Runs as root, so that it looks itself, at idle priority, and not Nix's daemon; takes
# the collector's lock meanwhile.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL
unset NIX_REMOTE

# A run may be somebody else's, begun on another machine: its jobs are here.
for job in /run/nixdash/jobs/*; do
	if [ -d "$job" ] && systemctl is-active --quiet "nixdash-${job##*/}"; then
		echo 'a run is at work on this host: look when it has ended' >&2
		exit 1
	fi
done

# Whatever begins below is as idle as this shell.
renice -n 19 -p "$$" >/dev/null 2>&1
ionice -c 3 -p "$$" >/dev/null 2>&1

# As Nix counts it (LocalStore::removeUnusedLinks): a file of n links is there once instead of n - 1
# times, since one link is the one in .links; the folder's own blocks are what that costs.
links=/nix/store/.links
if [ -d "$links" ]; then
	{
		find "$links" -maxdepth 0 -printf 'folder %b\n' &&
			find "$links" -mindepth 1 -links +2 -printf '%n %s\n' && echo end
	} | awk '
		$1 == "folder" { saved -= 512 * $2; next }
		$1 == "end" { whole = 1; next }
		{ saved += ($1 - 2) * $2 }
		END { if (!whole) exit 1; printf "saved\t%.0f\n", (saved > 0 ? saved : 0) }' || exit 1
else
	printf 'saved\t0\n'
fi

{
	nix-store --gc --print-dead && echo '---' &&
		nix --extra-experimental-features 'nix-command flakes' path-info --all --size && echo end
} | awk '
	$0 == "---" { sizes = 1; next }
	$0 == "end" { whole = 1; next }
	!sizes && /^\/nix\/store\// { dead[$1] = 1; paths++ }
	sizes && $1 in dead && $NF ~ /^[0-9]+$/ { bytes += $NF }
	END { if (!whole) exit 1; printf "dead\t%.0f\t%.0f\n", paths, bytes }'
