#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that the files exist which the documents name: `a/b.c`, or [text](a/b.md).

    check-paths.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

DOCUMENTS = ["CHANGELOG.md", "HACKING.md", "README.md", "docs/guide.md", "docs/idl.md", "examples/README.md"]
PLACEHOLDERS = {"a/b.c", "tests/unit/a/test-b.c", "clients/cli/commands/NAME.c", "file.c", "file.h"}

root = pathlib.Path(sys.argv[1])
if not shutil.which("git"):
    sys.exit(77)
listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True)
if listed.returncode != 0:
    sys.exit(77)
files = set(listed.stdout.split("\n"))
names = {pathlib.PurePath(name).name for name in files}
bad = 0
for document in DOCUMENTS:
    text = (root / document).read_text()
    for name in re.findall(r"`([\w./-]+\.(?:c|h|py|sh|md))`", text):
        # The path starts at the root or at the document. A bare name may be in any room, which the text names.
        here = str(pathlib.PurePath(document).parent / name)
        if not {name, here} & (files | names | PLACEHOLDERS):
            print(f"{document}: there is no {name}")
            bad += 1
    for name in re.findall(r"\]\(([\w./-]+)\)", text):
        if not (root / document).parent.joinpath(name).exists():
            print(f"{document}: links to {name}, which is not there")
            bad += 1
sys.exit(bad > 0)
