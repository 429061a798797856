#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that each function that other files can call has a caller outside the tests.

Exported functions (clients/c/libferry.sym) are for users and need no caller. A name in a table counts as
a call. FOR_TESTS has the functions that only tests need.

    check-unused.py ROOT
"""
import collections
import pathlib
import re
import sys

ROOMS = ["base", "rpc", "broker", "cache", "idl", "clients"]
FOR_TESTS = {
    "error_types", "admin_has_need", "admin_method", "op_fields",  # tables that tests compare with the documents
    "write_ext",                                                    # MessagePack that tests write and judge
}
CALLERS = ROOMS + ["include", "examples", "bench"]
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
DEFINED = re.compile(r"^(?!typedef\b|#)(?:[A-Za-z_][\w \t*]*?)\b([a-z_]\w*)\s*\([^;{}]*\)\s*\{", re.M)
CLEANUP = re.compile(r"\bDEFINE_CLEANUP\([^,()]*,\s*(\w+)\)")
WORD = re.compile(r"[A-Za-z_]\w*")
PROTOTYPE = re.compile(r"^[A-Za-z_][\w \t*]*?\b([a-z_]\w*)\s*\([^;{}]*\)[^;{}]*;", re.M)


def main(root):
    exported = set(WORD.findall((root / "clients/c/libferry.sym").read_text()))
    defined, uses = {}, collections.Counter()
    for room in CALLERS:
        for path in sorted((root / room).rglob("*.[ch]")):
            name = path.relative_to(root).as_posix()
            text = COMMENT_OR_TEXT.sub(" ", path.read_text())
            uses.update(WORD.findall(text))
            # Definitions, prototypes and DEFINE_CLEANUP lines are not calls.
            uses.subtract(DEFINED.findall(text))
            uses.subtract(PROTOTYPE.findall(text))
            uses.subtract(CLEANUP.findall(text))
            if room in ROOMS:
                for word in DEFINED.findall(text):
                    defined.setdefault(word, name)
    # CLEANUP(thing_free) calls thing_freep().
    dead = [f"{defined[word]}: {word}() has no caller" for word in defined
            if uses[word] <= 0 and not (word.endswith("p") and uses[word[:-1]] > 0) and word not in exported | FOR_TESTS and word != "main"]
    dead += [f"{defined[word]}: {word}() has a caller; take it out of FOR_TESTS" for word in FOR_TESTS & set(defined)
             if uses[word] > 0]
    print("\n".join(sorted(dead)))
    return bool(dead)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
