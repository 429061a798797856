#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The man page with the options of each command, as the command itself prints them.

    with-options.py FERRY < ferry.1.scd
"""
import re
import subprocess
import sys


def told(*words):
    return subprocess.run([sys.argv[1], *words], capture_output=True, text=True, check=True).stdout


def escaped(text):
    return re.sub(r"([\\*_<>`])", r"\\\1", text)


def options_of(command):
    """(options and argument, explanation) of each line below "Options:"."""
    section = re.search(r"^Options:\n((?:  .*\n)+)", told("help", command), re.M)
    return re.findall(r"^ +(?:(-\w), )?(--[\w-]+)(?: (\S+))? +(\S.*)$", section[1], re.M) if section else []


def section():
    commands = re.findall(r"^  (\w+) +\S", told("help").split("Everywhere:")[0], re.M)
    lines = ["# OPTIONS OF EACH COMMAND", ""]
    for command in commands:
        options = options_of(command)
        if options:
            lines += [f"## ferry {command}", ""]
        for letter, name, argument, text in options:
            names = ", ".join(f"*{escaped(word)}*" for word in (letter, name) if word)
            lines += [names + (f" _{escaped(argument)}_" if argument else ""), "\t" + escaped(text), ""]
    return "\n".join(lines) + "\n"


before = "# OPTIONS OF EVERY COMMAND\n"
page = sys.stdin.read()
assert before in page
sys.stdout.write(page.replace(before, section() + before))
