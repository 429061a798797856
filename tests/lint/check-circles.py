#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that no more than two modules of a room need each other in a circle, and that no header includes
itself by way of others.

A module is NAME.c with NAME.h. It needs another module of its room if it names a function that the other
one defines. A header with inline functions is a module of its own.

    check-circles.py ROOT
"""
import collections
import pathlib
import re
import sys

ROOMS = ["base", "rpc/wire", "rpc/keys", "rpc/zmtp", "rpc/address", "rpc/link", "rpc/schema", "cache", "idl", "broker",
         "clients/c", "clients/json", "clients/cli", "clients/web", "clients/msgpack-rpc"]
AT_MOST = 2
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\\\.|[^"\\\\\n])*"|\'(?:\\\\.|[^\'\\\\\n])+\'', re.S)
# A definition starts at the start of a line. Other modules cannot use a static one.
DEFINED = re.compile(r"^(?!static\b|typedef\b|#)[A-Za-z_][\w \t*]*?\b([A-Za-z_]\w*)\s*\([^;{}]*\)\s*\{", re.M)
INLINE = re.compile(r"^static inline\b[\w \t*]*?\b([A-Za-z_]\w*)\s*\([^;{}]*\)\s*\{", re.M)
DECLARED = re.compile(r"^(?:DEFINE_CLEANUP|[A-Za-z_][\w \t*]*[ *]\w+)\s*\([^;{}]*\)[^;{}]*;", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
WORD = re.compile(r"[A-Za-z]\w*_\w+")  # a function that others may call has its module's prefix


def code_of(path):
    return COMMENT_OR_TEXT.sub(" ", path.read_text())


def needs(root, room):
    """Module: the modules that it needs. A module is a path without its suffix, or the path of a header."""
    code = collections.defaultdict(str)
    owner = {}
    for path in sorted((root / room).rglob("*.[ch]")):
        name = path.relative_to(root)
        text = code_of(path)
        defined = (DEFINED if path.suffix == ".c" else INLINE).findall(text)
        module = name.as_posix() if path.suffix == ".h" and defined else name.with_suffix("").as_posix()
        code[module] += text if path.suffix == ".c" else DECLARED.sub("", text)
        for function in defined:
            owner.setdefault(function, module)
    edges = {module: set() for module in code}
    for module, text in code.items():
        for word in set(WORD.findall(text)):
            if owner.get(word, module) != module:
                edges[module].add(owner[word])
    return edges


def includes(root, room):
    """Header: the headers of its room that it includes."""
    headers = {path.relative_to(root).as_posix(): path for path in (root / room).rglob("*.h")}
    return {name: {other for other in INCLUDE.findall(path.read_text()) if other in headers}
            for name, path in headers.items()}


def circles(edges, at_most):
    """The strongly connected components of more than at_most nodes, by Tarjan's algorithm."""
    number, low, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in sorted(edges[module]):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > at_most:
                found.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for module in sorted(edges):
        if module not in number:
            visit(module)
    return found


def neighbours(edges, circle):
    """A line for each module of the circle: the modules of the circle that it needs."""
    return [f"    {module} needs {', '.join(sorted(edges[module] & set(circle)))}" for module in circle]


def main(root):
    bad = False
    for room in ROOMS:
        edges = needs(root, room)
        for circle in circles(edges, AT_MOST):
            bad = True
            print(f"{room}: {len(circle)} modules need each other in a circle:")
            print("\n".join(neighbours(edges, circle)))
        edges = includes(root, room)
        for circle in circles(edges, 1):
            bad = True
            print(f"{room}: {len(circle)} headers include each other in a circle:")
            print("\n".join(neighbours(edges, circle)))
    return bad


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
