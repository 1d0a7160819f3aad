"""Counts what a recorded stream of Nix's internal-json says, without any code of nixdash.

Usage: count.py FILE. Prints one `name=number` a line; tests/it/nom.rs holds nixdash to them.
"""

import json
import re
import sys

BUILD, COPY_PATH, FILE_TRANSFER, QUERY = 105, 100, 101, 109
LOG_LINE, PROGRESS = 101, 105
PLANNED = re.compile(r"^  (/nix/store/\S+\.drv)$")
FAILED = re.compile(r"builder for '[^']*?(/nix/store/[^']+\.drv)[^']*' failed")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def read(path):
    with open(path, "rb") as lines:
        for line in lines:
            if line.startswith(b"@nix "):
                yield json.loads(line[5:])


def count(path):
    kinds, planned, begun, failed = {}, set(), set(), set()
    ended, done, levels = set(), {}, [0] * 8
    files = queries = output = 0
    for entry in read(path):
        action, number = entry["action"], entry.get("id")
        if action == "start":
            kind = entry["type"]
            kinds[number] = (kind, entry.get("fields", []))
            files += kind == FILE_TRANSFER
            queries += kind == QUERY
            if kind == BUILD:
                begun.add(entry["fields"][0])
        elif action == "stop":
            ended.add(number)
        elif action == "result":
            output += entry["type"] == LOG_LINE
            # What it has of what it expects: a copy that ended has all of it, though Nix does not
            # always say so.
            if entry["type"] == PROGRESS:
                done[number] = max(entry["fields"][:2])
        elif action == "msg":
            levels[entry["level"]] += 1
            text = COLOUR.sub("", entry["msg"])
            failed.update(FAILED.findall(text))
            planned.update(PLANNED.findall(text))
    copies = [number for number, (kind, _) in kinds.items() if kind == COPY_PATH]
    return {
        "begun": len(begun),
        "failed": len(failed),
        "planned": len(planned - begun),
        "paths": len([number for number in copies if number in ended]),
        "bytes": sum(done.get(number, 0) for number in copies),
        "files": files,
        "queries": queries,
        "output": output,
        "messages": sum(levels),
        "errors": levels[0],
    }


for name, number in count(sys.argv[1]).items():
    print(f"{name}={number}")
