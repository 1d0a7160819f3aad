"""What the dashboard costs while nothing happens, beside btop and bottom where they are on the PATH.

`idle.py HOSTS_FILE` opens each on a terminal of its own, 50 rows and 200 columns, all at the same time, lets
them settle for 20 s and then looks for 60 s (`idle.py HOSTS_FILE SECONDS`). It prints, for each, what it writes
to its terminal, in how many frames, how often its threads give the processor up (the ssh processes that
nixdash starts are others and do not count), its share of a core and its memory. NIXDASH names the program.
"""

import glob
import os
import shutil
import sys
import tempfile
import time

from screen import Screen, processor_time

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


def main():
    hosts_file = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color"}
        screens = {"nixdash": Screen(NIXDASH, environment, hosts_file, ROWS, COLUMNS)}
        for name in ("btop", "btm"):
            program = shutil.which(name)
            if program:
                screens[name] = Screen(program, environment, None, ROWS, COLUMNS)
        try:
            read_all(screens, SETTLE)
            before = {name: Look(screen) for name, screen in screens.items()}
            read_all(screens, seconds)
            print(f"{'':<8} {'bytes/s':>9} {'frames/s':>9} {'switches/s':>11} {'of a core':>10} {'memory':>9}")
            for name, screen in screens.items():
                written, frames, switched, share = Look(screen).since(before[name])
                memory = int(fields(f"/proc/{screen.pid}/status")["VmRSS"].split()[0]) / 1024
                # Only a program that marks its frames has frames that can be counted.
                frames = f"{frames:9.2f}" if frames else f"{'–':>9}"
                print(f"{name:<8} {written:9.0f} {frames} {switched:11.1f} {share:8.2f} % {memory:6.1f} MB")
        finally:
            for screen in screens.values():
                screen.end()


main()
