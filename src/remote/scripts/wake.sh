# Sends a Wake-on-LAN packet into the networks of this machine, as the login user. $1 the address of the
# network card, as 12 hexadecimal digits. Prints how it was sent; fails where nothing here can send it.
# shellcheck shell=sh

PATH="/run/wrappers/bin:/run/current-system/sw/bin:$PATH:/usr/local/bin:/usr/bin:/bin"
LC_ALL=C
export PATH LC_ALL

# Prints the broadcast address of each network, one per line. `ip` names it only where somebody set it.
broadcasts() {
	ip -4 -o address show scope global 2>/dev/null | awk '$3 == "inet" {
		split($4, at, "/")
		if (at[2] >= 31) next
		split(at[1], part, ".")
		size = 2 ^ (32 - at[2])
		number = ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4]
		last = number - number % size + size - 1
		printf "%d.%d.%d.%d\n", int(last / 16777216), int(last / 65536) % 256, int(last / 256) % 256, last % 256
	}' | sort -u
	echo 255.255.255.255
}

# The packet as the escapes of printf: six times ff, then the address sixteen times.
escapes() {
	printf '\\377\\377\\377\\377\\377\\377'
	count=0
	while [ "$count" -lt 16 ]; do
		for pair in $(echo "$1" | sed 's/../& /g'); do printf '\\%03o' "0x$pair"; done
		count=$((count + 1))
	done
}

# Sends the packet with bash, as one datagram: what bash writes by itself it writes line by line, and a byte of the
# packet may be the end of a line. $1 the packet as escapes, $2 where to, as bash names it.
send_with_bash() {
	# shellcheck disable=SC2016 # the variables are bash's
	bash -c 'exec 3>"$2" && printf "$1" | dd bs=102 iflag=fullblock >&3' sh "$1" "$2" 2>/dev/null
}

if command -v perl >/dev/null 2>&1; then
	# shellcheck disable=SC2016,SC2046 # the variables are Perl's, and the addresses are to be split
	perl -MSocket -e '
		my $packet = chr(255) x 6 . pack("H12", shift) x 16;
		socket(my $socket, PF_INET, SOCK_DGRAM, getprotobyname("udp") || 17) or die $!;
		setsockopt($socket, SOL_SOCKET, SO_BROADCAST, 1) or die $!;
		my $sent = 0;
		for my $to (@ARGV) { $sent++ if send($socket, $packet, 0, pack_sockaddr_in(9, inet_aton($to))) }
		exit($sent ? 0 : 1);' "$1" $(broadcasts) && echo "by broadcast" && exit 0
fi
# bash may not broadcast, but a card wakes of a packet to every machine of its link as well.
if command -v bash >/dev/null 2>&1; then
	sent=no
	packet=$(escapes "$1")
	for link in /sys/class/net/*; do
		name=${link##*/}
		if [ "$name" = lo ] || [ "$(cat "$link/type" 2>/dev/null)" != 1 ]; then continue; fi
		send_with_bash "$packet" "/dev/udp/ff02::1%$name/9" && sent=yes
	done
	[ "$sent" = no ] || { echo "to every machine of the link" && exit 0; }
fi
echo "neither perl nor bash could send it" >&2
exit 1
