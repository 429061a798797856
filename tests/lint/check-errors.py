#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the tables of standard errors: docs/errors.md has the rows of base/error.c; the protocol lists
the errors in messages, the man page each exit status; and each room throws only errors that the table allows it.

    check-errors.py ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
wrong = []


def expect(right, text):
    if not right:
        wrong.append(text)


def read(path):
    return (root / path).read_text()


code = {}
for name, errno, status in re.findall(r'\{"(ferry\.\w+)", (E\w+), (\d+),', read("base/error.c")):
    code.setdefault(name, ([], status))[0].append(errno)

told, throwers = {}, {}
for line in read("docs/errors.md").splitlines():
    row = re.match(r"\| `(ferry\.\w+)` \| ([\w, ]+) \| (\d+) \| ([\w, ]+) \|", line)
    if row:
        told[row[1]] = (row[2].split(", "), row[3])
        throwers[row[1]] = set(row[4].split(", "))
expect(len(code) > 20, "base/error.c: its table was not found")
for name in sorted(code.keys() | told.keys()):
    expect(code.get(name) == told.get(name),
           f"{name}: base/error.c says {code.get(name)}, docs/errors.md {told.get(name)}")
expect(list(code) == list(told), "docs/errors.md: the rows are in another order than in base/error.c")

wire = set(re.findall(r"`(ferry\.[A-Z]\w+)`", read("docs/PROTOCOL.md"))) - {"ferry.Broker"}
for name in sorted(wire - code.keys()):
    wrong.append(f"docs/PROTOCOL.md: there is no {name}")
for name in sorted(n for n, by in throwers.items() if "broker" in by and n not in wire):
    wrong.append(f"docs/PROTOCOL.md: the broker's {name} is missing")

statuses = set(re.findall(r"\*(\d+)\*\n:-", read("docs/man/ferry.1.scd")))
for name, (_, status) in code.items():
    expect(status in statuses, f"docs/man/ferry.1.scd: exit status {status} ({name}) is missing")

MAY = {"broker": {"broker"}, "clients/c": {"service", "library", "broker"},
       "rpc/address": {"library"}, "rpc/link": {"library", "broker"}, "rpc/schema": {"service", "library"},
       "cache": {"library"}, "base": None}
for room, by in MAY.items():
    for path in sorted((root / room).rglob("*.[ch]")):
        for name in set(re.findall(r'"(ferry\.[A-Z]\w*)"', path.read_text())) - {"ferry.Broker"}:
            place = path.relative_to(root)
            expect(name in code, f"{place}: {name} is not in the table of base/error.c")
            expect(by is None or by & throwers.get(name, set()),
                   f"{place}: docs/errors.md says that only {', '.join(sorted(throwers.get(name, [])))} throws {name}")

print("\n".join(wrong))
sys.exit(bool(wrong))
