# Prints what a dry run reads of derivations, whose paths are on standard input, one per line: for
# each its path, then outputs and inputs as they stand in the file, with `local ` before them when it
# must not be substituted. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# A derivation is one line. The first `],["` in it begins the list of sources; where there are none, the
# first `],"` ends their empty list. What is inside a string has a backslash before every quote.
xargs sed -s -n -e F \
	-e '/("allowSubstitutes","")/s/^/local /' \
	-e '/\\"allowSubstitutes\\":false/s/^/local /' \
	-e 's/],\[".*/]/' \
	-e 's/],".*/]/' \
	-e '/^\(local \)*Derive(/p'
