# Prints what a dry run reads of derivations, whose paths are on standard input, one per line: for
# each its path, then outputs, inputs and sources as they stand in the file, with `local ` before
# them when it must not be substituted. Runs as the login user and changes nothing.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# A derivation is one line, and the first `],"` in it ends the list of sources. What is inside a
# string has a backslash before every quote.
xargs sed -s -n -e F \
	-e '/("allowSubstitutes","")/s/^/local /' \
	-e '/\\"allowSubstitutes\\":false/s/^/local /' \
	-e 's/],".*/]/p'
