"""How the dashboard answers keys while builds print as fast as they can: flood.py [HOST...]

Needs a practice fleet that is up (`nixdash lab up`). On each of the hosts (samsung when none is named) the
next system gets a package that prints LINES lines (300000) while p620 builds it, 25,000 a second at most;
`nixdash build` follows them, and the dashboard shows the log of the first one, following. Every 50 ms the
help is opened or closed; how long that takes, from the key to the first byte of what it changes, is printed,
with the lines a second that reached the logs, and the memory and processor time of both processes. The
builds, Nix and ssh run on the same processors, so what they take is printed too. NIXDASH names the program.
"""

import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

NIXDASH = os.environ.get("NIXDASH", "target/release/nixdash")
LINES = os.environ.get("LINES", "300000")
HOSTS = sys.argv[1:] or ["samsung"]
SIZE = (35, 120)
# What the help has and nothing else.
HELP = b"Keys"


def run(*words, **more):
    return subprocess.run([NIXDASH, *words], check=True, capture_output=True, text=True, **more)


def processor_time(pid):
    """Seconds of a process, or nothing when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def machine_time():
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def lines_in(folder):
    """Lines in the logs of the newest run."""
    runs = [name for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []
    if not runs:
        return 0
    newest = os.path.join(folder, max(runs, key=int))
    count = 0
    for name in os.listdir(newest):
        # A log is compressed when its run has ended.
        if name.endswith((".log", ".log.zst")):
            command = ["zstd", "-dcfq", os.path.join(newest, name)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as plain:
                count += sum(part.count(b"\n") for part in iter(lambda: plain.stdout.read(1 << 20), b""))
    return count


class Screen:
    """A dashboard on a terminal of its own."""

    def __init__(self, environment, hosts_file):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(NIXDASH, [NIXDASH, "--hosts", hosts_file], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        self.written = 0

    def read(self, seconds):
        """Everything that is painted in this time."""
        end, seen = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                seen += os.read(self.terminal, 1 << 16)
        self.written += len(seen)
        return seen

    def press(self, key):
        os.write(self.terminal, key)

    def until(self, key, word, seconds=5):
        """Presses a key; the time until a word is painted."""
        begun, seen = time.monotonic(), b""
        self.press(key)
        while word not in seen and time.monotonic() < begun + seconds:
            if select.select([self.terminal], [], [], 0.1)[0]:
                piece = os.read(self.terminal, 1 << 16)
                self.written += len(piece)
                seen += piece
        return time.monotonic() - begun


def main():
    status = json.loads(run("lab", "status", "--json").stdout)
    hosts_file = status["hosts_file"]
    for host in HOSTS:
        run("lab", "bump", host, "--break", "loud", "--amount", LINES)
    state = tempfile.mkdtemp()
    environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color"}
    screen = build = None
    try:
        screen = Screen(environment, hosts_file)
        screen.read(3)
        words = [NIXDASH, "--hosts", hosts_file, "build", *HOSTS, "--quiet"]
        begun, machine = time.monotonic(), machine_time()
        build = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        folder = os.path.join(state, "nixdash", "runs")
        while lines_in(folder) < 5000 and build.poll() is None:
            screen.read(0.2)
        screen.press(b"4")
        screen.read(1)
        first, flooded = lines_in(folder), time.monotonic()
        written = screen.written
        times, spent = [], None
        while build.poll() is None and time.monotonic() < flooded + 60:
            times.append(screen.until(b"?", HELP))
            screen.read(0.05)
            screen.press(b"\x1b")
            screen.read(0.15)
            spent = processor_time(build.pid) or spent
        took = time.monotonic() - flooded
        rate = (lines_in(folder) - first) / took
        times.sort()
        share = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1000
        print(f"{len(HOSTS)} hosts, {rate:.0f} lines/s in the logs for {took:.1f} s")
        print(f"key to paint: median {share(0.5):.1f} ms, p99 {share(0.99):.1f} ms of {len(times)} keys")
        print(f"painted: {(screen.written - written) / took / 1000:.1f} kB/s")
        print(f"dashboard: {peak_memory(screen.pid):.1f} MB at its peak, {processor_time(screen.pid):.2f} s")
        print(f"nixdash build: {spent:.2f} s of processor time")
        print(f"everything on this machine: {machine_time() - machine:.1f} s in {time.monotonic() - begun:.1f} s")
    finally:
        if build and build.poll() is None:
            build.terminate()
            build.wait()
        if screen:
            screen.press(b"\x1bq")
            time.sleep(1)
            try:
                os.kill(screen.pid, 15)
                os.waitpid(screen.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        run("lab", "bump", "--fix")
        shutil.rmtree(state, ignore_errors=True)


main()
