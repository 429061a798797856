#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that clang-format changes no tracked C file, and that it obeys each "clang-format off". Skipped (77)
without clang-format 14 or git, because other versions format differently.

    check-format.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

root = sys.argv[1]
tool = shutil.which("clang-format-14") or shutil.which("clang-format")
if not tool or not shutil.which("git"):
    sys.exit(77)
version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
if not re.search(r"version 14\.", version):
    sys.exit(77)
listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "*.c", "*.h"], capture_output=True, text=True)
if listed.returncode != 0:
    sys.exit(77)
files = [name for name in listed.stdout.split("\0") if name]
run = subprocess.run([tool, "--dry-run", "-Werror", *files], cwd=root, capture_output=True, text=True)
bad = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", run.stderr, re.M)))
for name in bad:
    print(f"{name}: run clang-format -i on it")
# clang-format 14 ignores the comment if it contains another word, and formats the table.
ignored = [name for name in files
           if re.search(r"clang-format off(?! \*/)", pathlib.Path(root, name).read_text(encoding="utf-8"))]
for name in ignored:
    print(f"{name}: write /* clang-format off */ without other words")
sys.exit(run.returncode != 0 or len(ignored) > 0)
