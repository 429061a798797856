#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file's text as a C string: embed.py NAME FILE > FILE.c"""
import sys

name, path = sys.argv[1:3]
print(f"extern const char {name}[];\nconst char {name}[] =")
for line in open(path, encoding="utf-8"):
    text = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    print(f'    "{text}"')
print("    ;")
