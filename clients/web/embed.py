#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes files as one C table of pages: embed.py FILE... > pages.c. See page.h."""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}

print('#include "clients/web/page.h"\n')
rows = []
for n, path in enumerate(map(pathlib.Path, sys.argv[1:])):
    data = path.read_bytes()
    etag = hashlib.sha256(data).hexdigest()[:16]
    print(f"static const unsigned char file_{n}[] = {{")
    for at in range(0, len(data), 20):
        print("    " + "".join(f"{byte}," for byte in data[at:at + 20]))
    print("    0};")
    rows.append(f'    {{"{path.name}", "{TYPES[path.suffix]}", "\\"{etag}\\"", file_{n}, {len(data)}}},')
print("\nconst Page pages[] = {")
print("\n".join(rows))
print("    {0}};")
