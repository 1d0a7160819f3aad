#!/usr/bin/perl
# Carries Ethernet frames between two TAP devices, each frame a given time later: latency for kernels without netem.
# usage: relay.pl TAP TAP MILLISECONDS      (one way; run it in the network namespace that has both devices)
use strict;
use warnings;
use Time::HiRes qw(time);

my ($left, $right, $delay) = @ARGV;
$delay /= 1000;
my $TUNSETIFF = 0x400454ca;
my $IFF_TAP_NO_PI = 0x1002;

sub attach {
    my ($name) = @_;
    open(my $device, '+<:raw', '/dev/net/tun') or die "/dev/net/tun: $!\n";
    ioctl($device, $TUNSETIFF, pack('a16 s x22', $name, $IFF_TAP_NO_PI)) or die "$name: $!\n";
    return $device;
}

my @devices = (attach($left), attach($right));
my @queue;
while (1) {
    my $ready = '';
    vec($ready, fileno($_), 1) = 1 for @devices;
    my $wait = @queue ? $queue[0][0] - time() : undef;
    $wait = 0 if defined $wait && $wait < 0;
    my $count = select($ready, undef, undef, $wait);
    next if $count < 0;
    for my $from (0, 1) {
        next unless $count > 0 && vec($ready, fileno($devices[$from]), 1);
        my $read = sysread($devices[$from], my $frame, 65536);
        push @queue, [time() + $delay, 1 - $from, $frame] if $read;
    }
    my $now = time();
    while (@queue && $queue[0][0] <= $now) {
        my $due = shift @queue;
        syswrite($devices[$due->[1]], $due->[2]);
    }
}
