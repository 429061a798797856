#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that each tracked source file names its licence in its first line, or in the line after "#!" or
"#compdef".
With --add, write the line into the files without it. Files below tests/data are exact input of tests
and have no licence line.

    check-spdx.py ROOT [--add]
"""
import pathlib
import shutil
import subprocess
import sys

LINE = "SPDX-License-Identifier: Apache-2.0"
BY_SUFFIX = {".c": f"/* {LINE} */", ".h": f"/* {LINE} */", ".css": f"/* {LINE} */", ".js": f"// {LINE}",
             ".thrift": f"// {LINE}", ".html": f"<!-- {LINE} -->", ".py": f"# {LINE}", ".sh": f"# {LINE}",
             ".sym": f"/* {LINE} */", **{suffix: f"# {LINE}" for suffix in (".bash", ".fish", ".zsh", ".yml", ".dict", ".supp")}}
BY_NAME = {name: f"# {LINE}" for name in ("meson.build", "meson_options.txt", ".clang-format", ".clang-tidy", ".editorconfig",
                                          ".gitignore")}


def tracked(root):
    if not shutil.which("git"):
        sys.exit(77)
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(77)
    return [name for name in listed.stdout.split("\0") if name and not name.startswith("tests/data/")]


def missing(path):
    """The line to add and its place; None: the file has the line, or needs no line."""
    if path.is_symlink() or not path.is_file():
        return None
    first = path.read_bytes()[:400].decode(errors="replace").splitlines()[:2]
    at = 1 if first and first[0].startswith(("#!", "#compdef")) else 0
    line = BY_NAME.get(path.name) or BY_SUFFIX.get(path.suffix) or (f"# {LINE}" if at else None)
    if not line or any(LINE in text for text in first[:at + 1]):
        return None
    return at, line


root = pathlib.Path(sys.argv[1])
bad = 0
for name in tracked(root):
    found = missing(root / name)
    if not found:
        continue
    if sys.argv[2:] == ["--add"]:
        lines = (root / name).read_text().split("\n")
        lines.insert(*found)
        (root / name).write_text("\n".join(lines))
        continue
    print(f"{name}: the licence line is missing; tests/lint/check-spdx.py . --add writes it")
    bad += 1
sys.exit(bad > 0)
