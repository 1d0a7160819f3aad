#!/bin/sh
# Stops a job, as root, and waits until it is gone. $1 is the unit's name.
systemctl stop "$1" 2>/dev/null || true
