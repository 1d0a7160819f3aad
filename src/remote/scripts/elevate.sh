# Becomes root in the way $1 and runs there the command $2, with which /bin/sh reads the script that
# follows on standard input. With the way `auto` it takes the first that asks for nothing.
# Says on standard error, behind the words $3 and $4, which way it takes; when the script does not
# run, what the program said follows. With the way `password` the first 1024 bytes of standard input
# hold the password in their first line. They go to sudo through a pipe of their own that ends with
# that line: sudo cannot try another line as a password, and a script never sees it, also where sudo
# did not ask. What stands between it and the line $5 is discarded. With the way `prove` nothing is
# run: the password is tried once, and sudo is ended when it asks a second time, because a host may
# lock an account after a few wrong ones.
# shellcheck shell=sh

nixdash_way=$1
nixdash_step=$2
nixdash_mark=$3$4
nixdash_begin=$5
LC_ALL=C
nixdash_root_path=/run/wrappers/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PATH="/run/wrappers/bin:/run/current-system/sw/bin:${PATH:-/usr/bin:/bin}"
export LC_ALL PATH

nixdash_tell() {
	printf '%s %s\n' "$nixdash_mark" "$1" >&2
}

# Says what kept the program $1 from making us root without a question.
nixdash_refused() {
	nixdash_tell "$1"
	shift
	"$@" true </dev/null >&2
	exit 77
}

nixdash_has() {
	command -v "$1" >/dev/null 2>&1
}

# Runs the step behind sudo. $1 is a process whose standard input is the pipe that ours comes through.
nixdash_with_password() {
	# All of the block is read before sudo begins: where it asks nothing, what it starts reads on at once.
	nixdash_line=$(head -c 1024 | head -n 1)
	# shellcheck disable=SC2016 # The shell that sudo starts reads these.
	printf '%s\n' "$nixdash_line" | sudo -k -S -p '' /bin/sh -c '
		exec <"/proc/$1/fd/0" || exit 75
		while IFS= read -r nixdash_line && [ "$nixdash_line" != "$2" ]; do :; done
		eval "$3"
	' nixdash "$1" "$nixdash_begin" "$nixdash_step"
}

# Tries the password. A second process keeps the pipe open behind it: at its end sudo-rs would try an
# empty one twice more. It waits for 15 s at most.
nixdash_prove() {
	exec 3<&0
	{
		{
			head -c 1024 <&3 | head -n 1
			# shellcheck disable=SC2016 # The shell that is started here reads these.
			exec /bin/sh -c '
				echo "$1 waits $$" >&4
				exec sleep 15 </dev/null 2>/dev/null 3<&- 4>&-
			' nixdash "$nixdash_mark"
		} | {
			# shellcheck disable=SC2016 # The shell that is started here reads these.
			/bin/sh -c '
				echo "$1 is $$"
				exec sudo -k -S -p "$2" /bin/sh -c "echo; echo $1 root" 2>&1 3<&- 4>&-
			' nixdash "$nixdash_mark" "$nixdash_begin
"
			# A question may have left a line without its end.
			printf '\n%s ended\n' "$nixdash_mark"
		}
	} 4>&1 </dev/null 2>/dev/null | nixdash_judge
}

# Reads what sudo says. Each question is a line with the words of $nixdash_begin in it.
nixdash_judge() {
	nixdash_asked=0 nixdash_ended='' nixdash_waits=''
	while IFS= read -r nixdash_line || [ -n "$nixdash_line" ]; do
		case $nixdash_line in
		"$nixdash_mark waits "*) nixdash_waits=${nixdash_line##* } ;;
		"$nixdash_mark is "*) nixdash_sudo=${nixdash_line##* } ;;
		"$nixdash_mark root") nixdash_tell proven ;;
		"$nixdash_mark ended") nixdash_ended=yes ;;
		*"$nixdash_begin"*)
			nixdash_asked=$((nixdash_asked + 1))
			if [ "$nixdash_asked" = 2 ]; then
				echo 'sudo asked a second time' >&2
				kill -KILL "$nixdash_sudo"
			fi
			;;
		*) printf '%s\n' "$nixdash_line" >&2 ;;
		esac
		if [ -n "$nixdash_ended" ] && [ -n "$nixdash_waits" ]; then
			kill -KILL "$nixdash_waits" 2>/dev/null
			nixdash_waits=''
		fi
	done
}

if [ "$(id -u)" = 0 ]; then
	nixdash_way=root
elif [ "$nixdash_way" = auto ]; then
	if nixdash_has sudo && sudo -n true </dev/null >/dev/null 2>&1; then
		nixdash_way=sudo
	elif nixdash_has doas && doas -n true </dev/null >/dev/null 2>&1; then
		nixdash_way=doas
	elif nixdash_has run0 && run0 --no-ask-password true </dev/null >/dev/null 2>&1; then
		nixdash_way=run0
	elif nixdash_has sudo; then
		nixdash_refused sudo sudo -n
	elif nixdash_has doas; then
		nixdash_refused doas doas -n
	elif nixdash_has run0; then
		nixdash_refused run0 run0 --no-ask-password
	else
		nixdash_way=none
	fi
fi

case $nixdash_way in
root)
	if [ "$1" = prove ]; then
		nixdash_tell proven
		exit 0
	fi
	nixdash_tell root
	if [ "$1" = password ]; then
		while IFS= read -r nixdash_line && [ "$nixdash_line" != "$nixdash_begin" ]; do :; done
	fi
	eval "$nixdash_step"
	;;
sudo)
	nixdash_tell sudo
	exec sudo -n /bin/sh -c "$nixdash_step"
	;;
doas)
	nixdash_tell doas
	exec doas -n /bin/sh -c "$nixdash_step"
	;;
run0)
	nixdash_tell run0
	# systemd's own PATH leads to nothing on NixOS.
	exec run0 --no-ask-password --setenv=PATH="$nixdash_root_path" /bin/sh -c "$nixdash_step"
	;;
prove)
	nixdash_tell sudo
	nixdash_prove
	;;
password)
	nixdash_tell sudo
	if [ -p /proc/self/fd/0 ]; then
		nixdash_with_password "$$"
	else
		# The ssh server gave us a socket, which nobody else can open.
		trap : TERM
		cat | {
			# shellcheck disable=SC2016 # The shell that is started here reads it.
			nixdash_with_password "$(exec /bin/sh -c 'echo "$PPID"')"
			# The copying ends with us, and not only when nothing more comes.
			kill -TERM 0
		}
	fi
	;;
*)
	nixdash_tell none
	exit 77
	;;
esac
