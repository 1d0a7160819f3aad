#!/bin/sh
# Prints what a cache says of the files of a path, from the target: the listing that some caches keep beside the
# narinfo (`HASH.ls`, JSON). $1 is the URL of the cache, $2 the hash of the path. Prints nothing where the cache has
# none. HTTP only, and no redirect is followed.
curl --disable --silent --fail --globoff --user-agent nixdash/verify --compressed \
	--proto =http,https --proto-redir =http,https --connect-timeout 5 --max-time 15 \
	--max-filesize 16777216 "$1/$2.ls" 2>/dev/null | head -c 16777216
