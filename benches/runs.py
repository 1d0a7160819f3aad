"""Writes three runs with many log lines: runs.py FOLDER HOSTS LINES FORMAT (old or new)."""

import datetime
import json
import os
import sys

folder, hosts_file, lines, form = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
HOST = "samsung"
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
    log = open(os.path.join(directory, f"{HOST}.log"), "w", encoding="utf-8")

    def event(second, kind, **more):
        entry = {"run": str(number), "at": at(second), "event": kind, **more}
        events.write(json.dumps(entry, separators=(",", ":")) + "\n")

    event(0, "begin", hosts=[HOST], title="switch via-cache")
    for index, phase in enumerate(PHASES):
        event(index, "phase", host=HOST, phase=phase, state="started")
        for line in range(lines if phase == "build" else 10):
            text = f"firefox> compiling gfx/skia/{line}/SkFont.cpp with what a compiler says of it"
            log.write(f"{at(index)} {phase:<11} {text}\n")
            if form == "old":
                event(index, "log", host=HOST, phase=phase, line=text)
        event(index, "phase", host=HOST, phase=phase, state="finished")
    event(20, "result", host=HOST, outcome="switched", toplevel=None, previous=None,
          duration_ms=20000, built=1, substituted={}, fetched={}, error=None)
    event(20, "summary", outcomes={"switched": 1}, duration_ms=20000)
    events.close()
    log.close()


for run in range(1, 4):
    write_run(run)
