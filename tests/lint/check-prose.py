#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that comments and documents are free of sentence forms that need a second reading: "What is ..."
or "Who ..." as the subject of a sentence or of a heading, ", who ...s it", "its like", "is none", "those that",
"it is no name", "whatever comes", "however many", "goes on", "all but", "and the like", a comment that asks
("Is it ...?") or refers to its neighbour ("The same for ..."). The subject of a sentence is a thing with a name.

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
    r"|\b(its like|of its own accord|is none\b|are none\b|such as it)"
    r"|\b[Tt]hose (that|who|which|whose)\b"
    r"|\b(it|that|this|which|key|job|message|name|number|text|value) (is|are|was) no (?!longer|more|other|way|need)[a-z]+"
    r"|\b([Ww]hatever (comes|happens|it|its|the|they)|however (long|many|much|often))\b"
    r"|\b(goes|went) on\b(?! the\b)|\b(all but|but for|(and|or) the like)\b"
    r"|(/\*+|//) (The same|Likewise)(,| (as|at|for|from|in|of|on|to|with|without)\b)"
    r"|/\*+ (Are|Can|Did|Do|Does|Has|Have|Is|May|Should|Was|Were) [^*]*\?")


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
