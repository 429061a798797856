#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every example and compare what it prints with the course (examples/README.md). Figures, names
of hosts and bars may differ, the rest of each line may not.

    course.py RUN.SH BUILD README.md
"""
import re
import subprocess
import sys

NOT_BUILT = 77  # a library is missing
HOST = re.escape(subprocess.run(["uname", "-n"], stdout=subprocess.PIPE, text=True).stdout.strip())


def pattern(line):
    """The line without its figures: the same for each run on each machine."""
    line = re.sub(rf"\b({HOST}|vm)\b", "HOST", line)
    line = re.sub(r"\b[0-9A-F]{40}\b", "SERIAL", line)
    line = re.sub(r"█+", "BAR", line)
    line = re.sub(r"\d+(\.\d+)?", "N", line)
    return " ".join(line.split())


def sections(text):
    """Each example with the lines of its blocks; "…" stands for lines that are left out."""
    parts = re.split(r"^## (\w+)\n", text, flags=re.M)
    for name, body in zip(parts[1::2], parts[2::2]):
        blocks = re.findall(r"^```\n(.*?)^```", body, flags=re.M | re.S)
        yield name, [line for block in blocks for line in block.splitlines() if line.strip() not in ("", "…")]


def main(run, build, readme):
    wrong = 0
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    for name, shown in sections(text):
        done = subprocess.run([run, build, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == NOT_BUILT:
            print(f"{name}: not built")
            continue
        printed = {pattern(line) for line in done.stdout.splitlines()}
        missing = [line for line in shown if pattern(line) not in printed]
        if done.returncode or missing:
            wrong += 1
            print(f"{name}: exit status {done.returncode}")
        for line in missing:
            print(f"{name}: the course shows, but the example does not print: {line}")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
