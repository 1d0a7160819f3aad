#!/bin/sh
# Runs nix eval as the login user: the arguments are the whole command line.
exec "$@"
