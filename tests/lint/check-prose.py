#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that comments and documents are free of sentence forms that need a second reading: "What is ..."
or "Who ..." as the subject of a sentence or of a heading, ", who ...s it", "its like", "is none", "those that",
"it is no name", "whatever comes", "however many", "goes on", "all but", "and the like", "nobody", "0: none",
a comment that begins within a sentence ("that the thread has"), asks ("Is it ...?") or refers to its neighbour
("The same for ..."). The subject of a sentence is a thing with a name.

Also refuse two faults that a formatter makes in C comments: a list whose lines are joined (a line of a list, then text at
the margin which would have made that line too long), and a paragraph that begins with a second star.

    check-prose.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

TEXTS = {".c", ".h", ".md", ".scd", ".thrift"}
SCRIPTS = {".py", ".sh", ".js", ".bash", ".fish", ".zsh", ".build", ".yml", ".supp", ""}
# These two files quote what is refused.
EXAMPLES = {"tests/lint/check-prose.py", "tests/lint/test-checks.py"}
COLUMNS = 100
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
# Words without a noun. In C they are looked for in comments only: texts of tests may say "nobody".
VAGUE = re.compile(
    r"\b[Nn]obody\b(?!\])|\b(has|have|had|with|gets?|takes?) none\b(?! of)|(NULL|\b0|-1|empty|zero): (it has )?none\b"
    r"|/\* (theirs|of (these|those|them)|what|which|whose|that (?!request\b)[a-z]+)\b")
C_COMMENT = re.compile(r"/\*.*|^\s*\*.*|(?<![:\"/])//.*")
COMMENT = re.compile(r"(^|\s)(#|//|\"\"\")(?!!).*|^\s*/?\*.*")
STRAY_STAR = re.compile(r"\s*\* \* [A-Z]")
IN_LIST = re.compile(r"\s*\*( {3,})\S")
AT_MARGIN = re.compile(r"\s*\* ([^\s@]\S*)")


def riddles(path, lines):
    in_text = False
    for n, line in enumerate(lines, 1):
        if path.suffix in SCRIPTS:
            in_text ^= line.count('"""') % 2 == 1
            comment = COMMENT.search(line)
            text = line if in_text else comment.group().strip() if comment else ""
        else:
            text = line
        in_c = path.suffix in {".c", ".h"}
        part = C_COMMENT.search(line) if in_c else None
        vague = VAGUE.search(part.group() if part else "" if in_c else text)
        if RIDDLE.search(text) or vague or (in_c and STRAY_STAR.match(line)):
            yield n, line.strip()


def joined_lists(lines):
    for n, (line, next_line) in enumerate(zip(lines, lines[1:]), 2):
        margin = AT_MARGIN.match(next_line)
        if IN_LIST.match(line) and margin and len(line) + 1 + len(margin[1]) > COLUMNS:
            yield n, f"joined with the list above: {next_line.strip()}"


root = pathlib.Path(sys.argv[1])
if not shutil.which("git"):
    sys.exit(77)
listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
if listed.returncode != 0:
    sys.exit(77)
bad = 0
for name in filter(None, listed.stdout.split("\0")):
    path = root / name
    if path.suffix not in TEXTS | SCRIPTS or name in EXAMPLES or name.startswith("tests/data/") or not path.is_file():
        continue
    lines = path.read_text(errors="replace").splitlines()
    faults = list(riddles(path, lines))
    if path.suffix in {".c", ".h"}:
        faults += joined_lists(lines)
    for n, text in faults:
        print(f"{name}:{n}: {text}")
        bad += 1
sys.exit(bad > 0)
