#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the names of private headers and of types.

A header without a source of its own that only its folder includes is called NAME-private.h. Only files of its
folder, of broker/admin, which reports about all parts of the broker, and of the tests include it.

A name of a type means one type in the whole tree. Each file of clients/cli/commands is a program of its own
and has its own types.

A function that other files can call has a name of its own: of two with one name, the linker takes either one
without a warning.

    check-names.py ROOT
"""
import collections
import pathlib
import re
import sys

ROOMS = ["base", "rpc", "broker", "cache", "idl", "clients"]
OTHER_NAMES = re.compile(r"(^|[-_])(internal|priv|impl)\.h$|_private\.h$|_p\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]*\.h)"', re.M)
MAY_SEE_ALL = "broker/admin"
OWN_TYPES = "clients/cli/commands"
COMMENT_OR_MACRO = re.compile(r"/\*.*?\*/|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.S | re.M)
TYPE = re.compile(r"\b(?:struct|union|enum) ([A-Z]\w*)\s*\{|^\} ([A-Z]\w*);|\btypedef [^;{}]*\(\*([A-Z]\w*)\)", re.M)
FUNCTION = re.compile(r"^(?!static|typedef|extern|else|return)[A-Za-z_][\w *]*?[ *](\w+)\([^;{}]*\)\s*\{", re.M)


def function_problems(root):
    files = collections.defaultdict(set)
    for room in ROOMS:
        for path in (root / room).rglob("*.c"):
            for word in FUNCTION.findall(COMMENT_OR_MACRO.sub(" ", path.read_text())):
                files[word].add(path.relative_to(root).as_posix())
    for word, places in sorted(files.items()):
        if len(places) > 1 and word != "main":
            yield f"{word}() is the name of several functions: {', '.join(sorted(places))}"


def types_of(root):
    """Name of a type: the files that define it."""
    files = collections.defaultdict(set)
    for room in ROOMS:
        for path in (root / room).rglob("*.[ch]"):
            name = path.relative_to(root)
            if name.parent.as_posix() == OWN_TYPES:
                continue
            for words in TYPE.findall(COMMENT_OR_MACRO.sub(" ", path.read_text())):
                files["".join(words)].add(name.as_posix())
    return files


def type_problems(root):
    for word, files in sorted(types_of(root).items()):
        if len(files) > 1:
            yield f"{word} is the name of several types: {', '.join(sorted(files))}"


def header_problems(root):
    folders = collections.defaultdict(set)  # of the files that include a header
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]")):
            name = path.relative_to(root)
            if OTHER_NAMES.search(path.name):
                yield f"{name}: a header that only its folder includes is called NAME-private.h"
            for header in map(pathlib.PurePath, INCLUDE.findall(path.read_text())):
                folders[header].add(name.parent)
                if header.name.endswith("-private.h") and name.parent != header.parent and name.parent.as_posix() != MAY_SEE_ALL:
                    yield f"{name}: {header} is for the files of {header.parent}"
    for header, users in sorted(folders.items()):
        if users == {header.parent} and not header.name.endswith("-private.h") and not (root / header.with_suffix(".c")).exists():
            yield f"{header}: only its folder includes it, and it has no source: it is called NAME-private.h"


def main(root):
    found = [*header_problems(root), *type_problems(root), *function_problems(root)]
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
