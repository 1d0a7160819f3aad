"""How much the dashboard paints while eight hosts print 200,000 lines a second, and how it answers keys.

Needs no fleet: frames.py runs the bench `followers` (`cargo bench --bench followers`; FOLLOWERS names its
program where it was compiled already), whose hosts are folders on this machine, and a dashboard on a terminal
of 24 rows and 80 columns (`frames.py ROWS COLUMNS` for another) that watches this run. For each view, idle
before the run and while it floods, it prints the frames a second and the bytes of a frame; then the time from
a key to what it changes, and the dashboard's memory and processor time. What the bench itself found, such as
whether a line was lost, stands behind. NIXDASH names the program.
"""

import os
import subprocess
import sys
import tempfile
import time

from screen import Screen, peak_memory, processor_time, share

NIXDASH = os.environ.get("NIXDASH", "target/release/nixdash")
FOLLOWERS = [os.environ["FOLLOWERS"]] if "FOLLOWERS" in os.environ else "cargo bench --bench followers --".split()
ROWS, COLUMNS = map(int, sys.argv[1:3] or (24, 80))
HOSTS, RATE, SECONDS = 8, 200_000, 30
# The key of each view.
VIEWS = {b"1": "fleet", b"3": "deploy", b"4": "logs"}


def paint(screen, name, seconds):
    """Says what is painted in this time."""
    screen.read(1)
    frames, written = screen.frames, screen.written
    screen.read(seconds)
    frames, written = screen.frames - frames, screen.written - written
    print(f"{name:<14} {frames / seconds:5.1f} frames/s, {written / max(1, frames):7.0f} bytes a frame")


def main():
    with tempfile.TemporaryDirectory() as state:
        hosts_file = os.path.join(state, "hosts.toml")
        environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color"}
        # Once for the file of the hosts.
        subprocess.run([*FOLLOWERS, str(HOSTS), "100", "1", state], check=True, stdout=subprocess.DEVNULL)
        screen = Screen(NIXDASH, environment, hosts_file, ROWS, COLUMNS)
        try:
            screen.read(3)
            paint(screen, "idle", 5)
            command = [*FOLLOWERS, str(HOSTS), str(RATE), str(SECONDS), state]
            flood = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            screen.read(3)
            begun, spent = time.monotonic(), processor_time(screen.pid)
            for key, name in VIEWS.items():
                screen.press(key)
                paint(screen, name, 4)
            times = []
            while len(times) < 40 and flood.poll() is None:
                times.append(screen.time_help())
            took, spent = time.monotonic() - begun, processor_time(screen.pid) - spent
            print(f"key to paint: median {share(times, 0.5):.1f} ms, p99 {share(times, 0.99):.1f} ms of {len(times)} keys")
            print(f"dashboard: {peak_memory(screen.pid):.1f} MB at its peak, {spent / took:.2f} of a core")
            # It goes on painting, and is not held up by a terminal that nobody reads.
            while flood.poll() is None:
                screen.read(0.5)
            print(flood.stdout.read(), end="")
        finally:
            screen.end()


main()
