#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that comments and documents are free of sentence forms that need a second reading: "What is ..."
or "Who ..." as the subject of a sentence or of a heading, ", who ...s it", "its like", "is none". The subject of
a sentence is a thing with a name.

    check-prose.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

SUFFIXES = {".c", ".h", ".md", ".scd", ".thrift"}
RIDDLE = re.compile(
    r"(^\s*(/?\*+|//|#|>|-)?\s*|[.;:] )(What|Who|Whoever|Whatever) [a-z](?![^.?!]*\?)"
    r"|, (who|what) [a-z]+s? [a-z]+|---- (what|who) "
    r"|\b(its like|of its own accord|is none\b|are none\b|such as it)")


def riddles(path):
    for n, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if RIDDLE.search(line):
            yield n, line.strip()


root = pathlib.Path(sys.argv[1])
if not shutil.which("git"):
    sys.exit(77)
listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
if listed.returncode != 0:
    sys.exit(77)
bad = 0
for name in filter(None, listed.stdout.split("\0")):
    path = root / name
    if path.suffix not in SUFFIXES or name.startswith("tests/data/") or not path.is_file():
        continue
    for n, line in riddles(path):
        print(f"{name}:{n}: {line}")
        bad += 1
sys.exit(bad > 0)
