"""A dashboard on a terminal of its own, and what processes took: for flood.py, frames.py and idle.py."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

# How a frame begins.
FRAME = b"\x1b[?2026h"
# What the help has and nothing else.
HELP = b"Keys"


def processor_time(pid):
    """Seconds of a process, or nothing when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    """The most memory that a process had, in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def share(times, part):
    """The time, in milliseconds, that this part of the times does not exceed."""
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * part))] * 1000


class Screen:
    """A dashboard, or another program without a file of hosts, on a terminal of so many rows and columns."""

    def __init__(self, program, environment, hosts_file, rows, columns):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            named = [] if hosts_file is None else ["--hosts", hosts_file]
            os.execve(program, [program, *named], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.written = self.frames = 0
        self.last = b""

    def take(self, limit):
        """What is painted next; nothing when that takes longer than the limit."""
        if not select.select([self.terminal], [], [], limit)[0]:
            return b""
        piece = os.read(self.terminal, 1 << 16)
        self.written += len(piece)
        # A frame may begin in one piece and go on in the next.
        self.frames += (self.last + piece).count(FRAME)
        self.last = piece[-(len(FRAME) - 1):]
        return piece

    def read(self, seconds):
        """Everything that is painted in this time."""
        end, seen = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            seen += self.take(left)
        return seen

    def press(self, key):
        os.write(self.terminal, key)

    def until(self, key, word, seconds=5):
        """Presses a key; the time until a word is painted."""
        begun, seen = time.monotonic(), b""
        self.press(key)
        while word not in seen and time.monotonic() < begun + seconds:
            seen += self.take(0.1)
        return time.monotonic() - begun

    def time_help(self):
        """Opens the help and closes it; the time until it is painted."""
        took = self.until(b"?", HELP)
        self.read(0.05)
        self.press(b"\x1b")
        self.read(0.15)
        return took

    def end(self):
        """Quits, and ends what does not quit."""
        self.press(b"\x1bq")
        time.sleep(1)
        try:
            os.kill(self.pid, 15)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
