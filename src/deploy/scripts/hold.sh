# shellcheck shell=sh
# Keeps what is rooted from a garbage collector that runs already: that one does not see roots which are made
# while it works, but it hears of every path that a process of Nix writes, and leaves it and all that it needs
# alone from then on. Put before the scripts that need it when nixdash is compiled.

# Lets a path stay that has just got a root; costs nothing where no collector runs. $1 the path. Fails where it
# is not there any more.
hold() {
	lock=/nix/var/nix/gc.lock
	# A collector holds it as long as it works.
	if [ ! -e "$lock" ] || flock --shared --nonblock "$lock" true 2>/dev/null; then return 0; fi
	# Written into the store in which it is already: nothing changes there.
	nix-store --export "$1" 2>/dev/null | timeout 60 nix-store --import >/dev/null 2>&1
	nix-store --check-validity "$1" 2>/dev/null
}
