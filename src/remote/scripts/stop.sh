#!/bin/sh
# Stops a job, as root, and waits until it is gone. $1 is the job's name.
systemctl stop "nixdash-$1" 2>/dev/null || true
