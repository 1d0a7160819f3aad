#!/bin/sh
# Removes a source folder that unpack.sh made. $1 is the folder.
case $1 in
*/nixdash/source-*) rm -rf "$1" ;;
esac
