#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that libferry exports the symbols of libferry.sym and no others, and all public functions.
usage: check-exports.py LIBRARY SYM HEADER..."""
import pathlib, re, subprocess, sys

library, sym, *headers = sys.argv[1:]
listed = set(re.findall(r"^\s+(ferry_\w+);", pathlib.Path(sym).read_text(), re.M))
lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True,
                       capture_output=True).stdout.split("\n")
exported = {l.split()[2].split("@")[0] for l in lines if len(l.split()) == 3}
exported = {s for s in exported if not s.startswith("FERRY_")}
declared = set()
for header in headers:
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(), flags=re.S)
    text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.M | re.S)
    text = re.sub(r"static inline.*?^\}", "", text, flags=re.M | re.S)
    declared |= set(re.findall(r"^[\w ]+?[ *](ferry_\w+)\(", text, re.M))
    declared |= set(re.findall(r"^extern const \w+ (ferry_\w+);", text, re.M))
bad = [f"{s}: exported, but not in libferry.sym" for s in sorted(exported - listed)]
bad += [f"{s}: in libferry.sym, but not exported" for s in sorted(listed - exported)]
bad += [f"{s}: exported, but in no public header" for s in sorted(exported - declared)]
bad += [f"{s}: in a public header, but not exported: add it to libferry.sym" for s in
        sorted(declared - exported)]
print("\n".join(bad))
sys.exit(bool(bad))
