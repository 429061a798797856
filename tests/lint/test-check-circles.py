#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test check-circles.py: plant circles of modules in a tree of their own and run the check on it."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).parent / "check-circles.py"
TWO = {"base/a.c": "int a_run(void) {\n    return b_run();\n}\n", "base/b.c": "int b_run(void) {\n    return a_run();\n}\n"}
THREE = {**TWO, "base/b.c": "int b_run(void) {\n    return c_run();\n}\n",
         "base/c.c": "int c_run(void) {\n    return 0;\n}\nint c_start(int (*f)(void)) {\n    return f == a_run;\n}\n"}
LIST = "tests/lint/circles.txt"
PLANTED = {  # name: files, and whether the check refuses them
    "two modules": (TWO, False),
    "three modules, one by a callback": (THREE, True),
    "a comment, a text and a static function": ({**THREE, "base/c.c": '/* a_run() */\nint c_run(void) {\n    puts("a_run");\n    return 0;\n}\n'
                                                 "static int a_run(void) {\n    return 0;\n}\n", "base/a.c": "static int x;\n"}, False),
    "a listed circle": ({**THREE, LIST: "base/a base/b base/c\n"}, False),
    "a listed circle that has shrunk": ({**THREE, LIST: "base/a base/b base/c base/d\n"}, False),
    "a listed circle that has grown": ({**THREE, LIST: "base/a base/b base/d\n"}, True),
    "an inner circle of two rooms": ({"base/a.c": "int a_run(void) {\n    return b_run();\n}\n",
                                      "idl/b.c": "int b_run(void) {\n    return a_run();\n}\n"}, False),
}

failed = 0
for name, (files, refused) in PLANTED.items():
    with tempfile.TemporaryDirectory() as root:
        for file, text in files.items():
            path = pathlib.Path(root) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
        if (run.returncode != 0) != refused or run.stderr:
            print(f"{name}: {'not seen' if refused else 'refused'}: {run.stdout}{run.stderr}")
            failed += 1
sys.exit(failed > 0)
