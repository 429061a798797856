#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every block of C in docs/guide.md compiles: guide.py GUIDE COMPILER [ARGUMENT...]

Blocks without a function of their own stand in one that has a client and an error.
"""
import re
import subprocess
import sys

HEAD = "#include <poll.h>\n#include <ferry/ferry.h>\n"
blocks = re.findall(r"^```c\n(.*?)^```", open(sys.argv[1]).read(), re.M | re.S)
assert len(blocks) >= 8, "the guide has lost its code"
for n, block in enumerate(blocks):
    if not re.match(r"(static|int) ", block):
        own = "ferry_client *client = NULL;" in block
        arguments = "void" if own else "ferry_client *client, ferry_error error"
        block = f"void block({arguments});\nvoid block({arguments}) {{\n{block}}}\n"
    block = re.sub(r"^int (\w+)\((.*?)\) \{", r"int guide_\1(\2);\nint guide_\1(\2) {", block, flags=re.M)
    got = subprocess.run([*sys.argv[2:], "-x", "c", "-"], input=HEAD + block, text=True)
    if got.returncode != 0:
        sys.exit(f"block {n + 1} of the guide does not compile:\n{block}")
print(len(blocks), "blocks")
