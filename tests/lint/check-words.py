#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that no tracked file contains a note about unfinished work: such notes belong in the issues.

    check-words.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
if not shutil.which("git"):
    sys.exit(77)
listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
if listed.returncode != 0:
    sys.exit(77)
words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
bad = 0
for name in filter(None, listed.stdout.split("\0")):
    path = root / name
    if name.startswith("tests/data/") or not path.is_file():
        continue
    for n, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if words.search(line):
            print(f"{name}:{n}: {line.strip()}")
            bad += 1
sys.exit(bad > 0)
