#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the headers that the files of one folder share.

Their names end in -private.h, and no other name for them is used. They are included by files of their own
folder, by broker/admin, which reports about all parts of the broker, and by tests.

    check-names.py ROOT
"""
import pathlib
import re
import sys

ROOMS = ["base", "rpc", "broker", "cache", "idl", "clients"]
OTHER_NAMES = re.compile(r"(^|[-_])(internal|priv|impl)\.h$|_private\.h$|_p\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]*-private\.h)"', re.M)
MAY_SEE_ALL = "broker/admin"


def problems(root):
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]")):
            name = path.relative_to(root)
            if OTHER_NAMES.search(path.name):
                yield f"{name}: a header that only its folder includes is called NAME-private.h"
            for header in INCLUDE.findall(path.read_text()):
                folder = pathlib.PurePath(header).parent
                if name.parent != folder and name.parent.as_posix() != MAY_SEE_ALL:
                    yield f"{name}: {header} is for the files of {folder}"


def main(root):
    found = list(problems(root))
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
