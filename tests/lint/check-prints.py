#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Find text that reaches a terminal or a log without escapes, where a name from a peer could control the
terminal. In clients/cli, only terminal/ prints values with %s or texts that are not literals; other rooms
use its out_format() and out_raw(). In idl, only source/ prints them; other rooms use its complain() and print_line(), and
fwrite() for generated text. In the broker and below, only base/log.c writes to standard error.

    check-prints.py ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
wrong = []
CALL = re.compile(r"\b(v?f?printf|puts|fputs|fwrite|write|dprintf)\s*\(")


def arguments(text, start):
    """The arguments of the call whose '(' is at start - 1."""
    depth, at, begin, found = 0, start, start, []
    while at < len(text):
        c = text[at]
        if c == '"' or c == "'":
            at += 1
            while text[at] != c:
                at += 2 if text[at] == "\\" else 1
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                found.append(text[begin:at].strip())
                return found
            depth -= 1
        elif c == "," and depth == 0:
            found.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    return found


def literals(text):
    """True if a text is made of literals only: "a" PRIu64 "b", or is_x ? "a" : "b"."""
    rest = re.sub(r'"(\\.|[^"\\])*"', '"', text)
    rest = re.sub(r"(^|:)[^?\":]*\?", "", rest)
    return re.fullmatch(r'[\s":]*(?:(?:PRI\w+|JSON_INTEGER_FORMAT|FERRY_VERSION)[\s":]*)*', rest) is not None


def passes(name, args):
    if name in ("printf", "fprintf"):
        form = args[name == "fprintf"] if len(args) > (name == "fprintf") else ""
        return literals(form) and not re.search(r"%[-.*0-9]*s", form)
    return name in ("puts", "fputs") and literals(args[0])


def check(path, allowed, remedy="out_format() or out_raw()"):
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), path.read_text(), flags=re.S)
    for call in CALL.finditer(text):
        args = arguments(text, call.end())
        if not allowed(call[1], args):
            line = text.count("\n", 0, call.start()) + 1
            wrong.append(f"{path.relative_to(root)}:{line}: {call[1]}() prints text of others: "
                         f"use {remedy}")


for path in sorted((root / "clients/cli").rglob("*.c")):
    if path.parent.name != "terminal":
        # Pipes of commands are data.
        check(path, lambda name, args: name == "write" or passes(name, args))
for path in sorted((root / "idl").rglob("*.c")):
    if path.parent.name != "source":
        check(path, lambda name, args: name == "fwrite" or passes(name, args), "complain() or print_line()")
for room in ("broker", "rpc", "clients/c", "cache"):
    for path in sorted((root / room).rglob("*.c")):
        check(path, lambda name, args: "stderr" not in args and "stdout" not in args and name not in
              ("printf", "puts") and args[:1] not in (["STDERR_FILENO"], ["STDOUT_FILENO"]))

print("\n".join(wrong))
sys.exit(bool(wrong))
