"""How the dashboard answers keys while builds print as fast as they can: flood.py [HOST...]

Needs a practice fleet that is up (`nixdash lab up`). On each of the hosts (samsung when none is named) the
next system gets a package that prints LINES lines (300000) while p620 builds it, 25,000 a second at most;
`nixdash build` follows them, and the dashboard shows the log of the first one, following. Every 50 ms the
help is opened or closed; how long that takes, from the key to the first byte of what it changes, is printed,
with the lines a second that reached the logs, and the memory and processor time of both processes. The
builds, Nix and ssh run on the same processors, so what they take is printed too. NIXDASH names the program.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from screen import Screen, peak_memory, processor_time, share

NIXDASH = os.environ.get("NIXDASH", "target/release/nixdash")
LINES = os.environ.get("LINES", "300000")
HOSTS = sys.argv[1:] or ["samsung"]
SIZE = (35, 120)


def run(*words, **more):
    return subprocess.run([NIXDASH, *words], check=True, capture_output=True, text=True, **more)


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


def main():
    status = json.loads(run("lab", "status", "--json").stdout)
    hosts_file = status["hosts_file"]
    for host in HOSTS:
        run("lab", "bump", host, "--break", "loud", "--amount", LINES)
    state = tempfile.mkdtemp()
    environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color"}
    screen = build = None
    try:
        screen = Screen(NIXDASH, environment, hosts_file, *SIZE)
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
        written, frames = screen.written, screen.frames
        times, spent = [], None
        while build.poll() is None and time.monotonic() < flooded + 60:
            times.append(screen.time_help())
            spent = processor_time(build.pid) or spent
        took = time.monotonic() - flooded
        rate = (lines_in(folder) - first) / took
        print(f"{len(HOSTS)} hosts, {rate:.0f} lines/s in the logs for {took:.1f} s")
        print(f"key to paint: median {share(times, 0.5):.1f} ms, p99 {share(times, 0.99):.1f} ms of {len(times)} keys")
        written, frames = screen.written - written, screen.frames - frames
        print(f"painted: {written / took / 1000:.1f} kB/s, {frames / took:.1f} frames/s, {written / frames:.0f} bytes a frame")
        print(f"dashboard: {peak_memory(screen.pid):.1f} MB at its peak, {processor_time(screen.pid):.2f} s")
        print(f"nixdash build: {spent:.2f} s of processor time")
        print(f"everything on this machine: {machine_time() - machine:.1f} s in {time.monotonic() - begun:.1f} s")
    finally:
        if build and build.poll() is None:
            build.terminate()
            build.wait()
        if screen:
            screen.end()
        run("lab", "bump", "--fix")
        shutil.rmtree(state, ignore_errors=True)


main()
