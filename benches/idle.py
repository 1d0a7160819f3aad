"""What the dashboard costs while nothing happens, beside btop and bottom where they are on the PATH.

`idle.py HOSTS_FILE` opens each on a terminal of its own, 50 rows and 200 columns, all at the same time, lets
them settle for 20 s and then looks for 60 s (`idle.py HOSTS_FILE SECONDS`). It prints, for each, what it writes
to its terminal, in how many frames, how often its threads give the processor up (the ssh processes that
nixdash starts are others and do not count), its share of a core and its memory. Before that stands how long
nixdash took to its first frame, and behind it how long from a key to what it paints. NIXDASH names the program.

`idle.py 20` needs no fleet: twenty hosts are this machine, behind an ssh server of their own (`local_fleet.py`),
and it is told after how long all of them were shown. What these hosts do, they do on the same processors.
"""

import glob
import os
import re
import shutil
import sys
import tempfile
import time

from local_fleet import LocalFleet
from screen import Screen, processor_time, share

NIXDASH = os.environ.get("NIXDASH", "target/release/nixdash")
ROWS, COLUMNS = 50, 200
SETTLE = 20


def fields(path):
    """The lines `Name: value` of a file below /proc."""
    with open(path, encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)


def switches(pid):
    """How often each thread of a process has given the processor up by itself."""
    found = {}
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        try:
            status = fields(path)
        except FileNotFoundError:
            continue
        found[path] = int(status["voluntary_ctxt_switches"])
    return found


class Look:
    """What a program had cost at a moment."""

    def __init__(self, screen):
        self.at = time.monotonic()
        self.written, self.frames = screen.written, screen.frames
        self.processor = processor_time(screen.pid)
        self.switches = switches(screen.pid)

    def since(self, before):
        """What it cost since an earlier look, a second."""
        time_between = self.at - before.at
        switched = sum(count - before.switches.get(path, 0) for path, count in self.switches.items())
        return [
            (self.written - before.written) / time_between,
            (self.frames - before.frames) / time_between,
            switched / time_between,
            100 * (self.processor - before.processor) / time_between,
        ]


def read_all(screens, seconds):
    """Reads what all of them paint, in turn, so that none waits for a reader."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for screen in screens.values():
            screen.take(0.05 / len(screens))


def until_shown(screen, begun, hosts):
    """The time since then until a dashboard shows that all of its hosts are up, 60 s at most."""
    while time.monotonic() < begun + 60:
        screen.read(0.5)
        # Draws the whole screen again; where it has spaces, the cursor is moved.
        screen.press(b"\x0c")
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]| ", b"", screen.read(0.2))
        if b"hosts%dup" % hosts in text:
            return time.monotonic() - begun
    return None


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    fleet = LocalFleet(int(sys.argv[1])) if sys.argv[1].isdigit() else None
    hosts_file = fleet.hosts_file if fleet else os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color"}
        begun = time.monotonic()
        nixdash = Screen(NIXDASH, environment, hosts_file, ROWS, COLUMNS)
        screens = {"nixdash": nixdash}
        try:
            while not nixdash.frames:
                nixdash.take(1)
            print(f"first frame after {1000 * (time.monotonic() - begun):.1f} ms")
            if fleet:
                took = until_shown(nixdash, begun, int(sys.argv[1]))
                print(f"all shown after {took:.1f} s" if took else "not all were shown within 60 s")
            for name in ("btop", "btm"):
                program = shutil.which(name)
                if program:
                    screens[name] = Screen(program, environment, None, ROWS, COLUMNS)
            read_all(screens, SETTLE)
            before = {name: Look(screen) for name, screen in screens.items()}
            read_all(screens, seconds)
            print(f"{'':<8} {'bytes/s':>9} {'frames/s':>9} {'switches/s':>11} {'of a core':>10} {'memory':>9}")
            for name, screen in screens.items():
                written, frames, switched, of_core = Look(screen).since(before[name])
                memory = int(fields(f"/proc/{screen.pid}/status")["VmRSS"].split()[0]) / 1024
                # Only a program that marks its frames has frames that can be counted.
                frames = f"{frames:9.2f}" if frames else f"{'–':>9}"
                print(f"{name:<8} {written:9.0f} {frames} {switched:11.1f} {of_core:8.2f} % {memory:6.1f} MB")
            times = [nixdash.time_help() for _ in range(20)]
            print(f"key to paint: median {share(times, 0.5):.1f} ms, {max(times) * 1000:.1f} ms at worst")
        finally:
            for screen in screens.values():
                screen.end()
            if fleet:
                fleet.end()


main()
