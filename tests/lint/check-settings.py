#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that the man page of the configuration has exactly the settings that the broker reads.

    check-settings.py ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])


def read(path):
    return (root / path).read_text()


def names_in(path, pattern):
    return set(re.findall(pattern, read(path)))


code = {
    "BROKER": names_in("broker/config.c", r'\{"(\w+)", SETTING')
    | names_in("broker/config.c", r'strcmp\(name, "(\w+)"\)'),
    "SERVER": names_in("broker/config.c", r'strcmp\(setting, "(\w+)"\)'),
    "QUEUES": names_in("broker/queues/settings.c", r'(?:NUMBER\(|\{)"(\w+)", SETTING')
    | names_in("broker/config.c", r'strcmp\(rule->name, "(\w+)"\)'),
    "TOPICS": names_in("broker/topics/settings.c", r'strcmp\(key, "(\w+)"\)'),
}
page = {}
for section in re.split(r"^# ", read("docs/man/ferry.conf.5.scd"), flags=re.M)[1:]:
    title, text = section.split("\n", 1)
    heads = re.findall(r"^\*[a-z].* = .*$", text, flags=re.M)
    page[title.split()[-1]] = set(re.findall(r"\*(\w+)\*", " ".join(heads)))

wrong = [f"ferry.conf(5), {section}: {name} is {what}"
         for section, names in code.items()
         for what, difference in (("missing", names - page.get(section, set())),
                                  ("not read by the broker", page.get(section, set()) - names))
         for name in sorted(difference)]
wrong += [f"broker: no setting of {section} was found" for section, names in code.items() if not names]
print("\n".join(wrong) or "ferry.conf(5) has every setting")
sys.exit(bool(wrong))
