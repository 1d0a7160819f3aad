"""Writes three runs with many log lines: runs.py FOLDER HOSTS_FILE LINES FORMAT (old or new).

NAMES is how many hosts a run has, 1 when it is not set, and WIDTH how long a line is at least.
"""

import datetime
import json
import os
import sys

folder, hosts_file, lines, form = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
HOSTS = [f"host{number}" for number in range(int(os.environ.get("NAMES", "1")))]
WIDTH = int(os.environ.get("WIDTH", "0"))
PHASES = ["preflight", "evaluate", "compare", "build", "publish", "verify", "fetch", "diff",
          "activate", "acknowledge", "check", "settle", "persist"]
begin = datetime.datetime(2026, 11, 20, 12, 0, 0)


def at(second):
    return (begin + datetime.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_run(number):
    directory = os.path.join(folder, str(number))
    os.makedirs(directory, mode=0o700)

    def note(name, text):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    note("fleet", os.path.realpath(hosts_file))
    note("process", "1 1\n")
    note("tag", f"run-{number}-00000000")
    events = open(os.path.join(directory, "events.jsonl"), "w", encoding="utf-8")

    def event(second, kind, **more):
        entry = {"run": str(number), "at": at(second), "event": kind, **more}
        events.write(json.dumps(entry, separators=(",", ":")) + "\n")

    event(0, "begin", hosts=HOSTS, title="switch via-cache")
    for host in HOSTS:
        log = open(os.path.join(directory, f"{host}.log"), "w", encoding="utf-8")
        for index, phase in enumerate(PHASES):
            event(index, "phase", host=host, phase=phase, state="started")
            for line in range(lines if phase == "build" else 10):
                text = f"firefox> compiling gfx/skia/{line}/SkFont.cpp with what a compiler says of it"
                text = text.ljust(WIDTH, "x")
                log.write(f"{at(index)} {phase:<11} {text}\n")
                if form == "old":
                    event(index, "log", host=host, phase=phase, line=text)
            event(index, "phase", host=host, phase=phase, state="finished")
        log.close()
        event(20, "result", host=host, outcome="switched", toplevel=None, previous=None,
              duration_ms=20000, built=1, substituted={}, fetched={}, error=None)
    event(20, "summary", outcomes={"switched": len(HOSTS)}, duration_ms=20000)
    events.close()


for run in range(1, 4):
    write_run(run)
