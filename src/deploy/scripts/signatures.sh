#!/bin/sh
# Prints who signed paths of this host's store, as the login user: lines of a path, and behind it each signature, and
# `ca:…` where the path follows from its content. Paths are on standard input, one per line.
exec xargs -r nix --extra-experimental-features nix-command path-info --sigs
