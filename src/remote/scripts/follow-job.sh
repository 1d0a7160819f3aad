# shellcheck shell=sh
# Follows a job, as `follow.sh` says, which is put before this when nixdash is compiled.
follow "$@"
