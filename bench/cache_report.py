# SPDX-License-Identifier: Apache-2.0
"""Makes one table with targets from the lines of JSON that bench-cache and bench-memo print, one line for each figure
and round."""

import json
import subprocess
from statistics import median

from report import number, spread, table

PROGRAMS = ("tests/cache/bench-cache", "tests/cache/bench-memo")  # in the build folder


def measure(build, say):
    """One round: the figures of every program that was built."""
    found = []
    for name in PROGRAMS:
        if not (build / name).exists():
            continue
        done = subprocess.run([build / name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=300)
        if done.returncode:
            say(f"cache: {name}: {done.stderr.strip() or done.returncode}")
        found += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return found


def rows_of(rounds):
    """Figures by name and target, each with all its rounds."""
    rows = {}
    for figures in rounds:
        for figure in figures:
            rows.setdefault((figure["name"], figure["rival"], figure["target"]), []).append(figure)
    return rows


def verdict(figures):
    """True, False, or None for a figure without a target."""
    first, measured = figures[0], median(f["measured"] for f in figures)
    if not first["target"]:
        return None
    return measured <= first["bound"] if first["at_most"] else measured >= first["bound"]


def cells(figures):
    first = figures[0]
    words = {True: "met", False: "MISSED", None: ""}
    return [first["name"], f"{spread([f['ours'] for f in figures])} {first['unit']}".strip(),
            f"{number(median(f['theirs'] for f in figures))} {first['unit']}" if first["rival"] else "",
            first["rival"],
            number(median(f["measured"] for f in figures)) if first["rival"] else "",
            first["target"], words[verdict(figures)]]


def full_text(rounds):
    rows = [cells(figures) for figures in rows_of(rounds).values()]
    return "The cache\n" + table(["", "ferry", "beside it", "which is", "ferry/that", "target", ""], rows)


def as_json(rounds):
    return [dict(figures[0], ours=[f["ours"] for f in figures], theirs=[f["theirs"] for f in figures],
                 measured=[f["measured"] for f in figures], met=verdict(figures))
            for figures in rows_of(rounds).values()]
