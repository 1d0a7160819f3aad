#!/bin/sh
# Lets the login shells of a host say hello to whoever runs a command over ssh, and sudo lecture, or not any more.
# Runs on the host.
# usage: chatty.sh set|clear USER
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
home=$(getent passwd "$2" | cut -d: -f6)
bash=$home/.bashrc
fish=$home/.config/fish/config.fish
plain=/etc/nixdash-lab/sudo.pam

case $1 in
set)
  [ ! -e "$plain" ] || exit 0
  cp /etc/pam.d/sudo "$plain"
  echo 'session optional pam_exec.so stdout /usr/bin/echo We trust you have received the usual lecture from the local System Administrator.' >>/etc/pam.d/sudo
  touch "$bash"
  sed -i '1i echo hello' "$bash"
  mkdir -p "${fish%/*}"
  echo 'echo hello' >>"$fish"
  chown -R "$2:" "$home/.config"
  ;;
clear)
  [ -e "$plain" ] || exit 0
  mv "$plain" /etc/pam.d/sudo
  sed -i '/^echo hello$/d' "$bash" "$fish"
  ;;
*)
  echo "chatty.sh: neither set nor clear: '$1'" >&2
  exit 2
  ;;
esac
