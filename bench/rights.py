#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of rights in a broker: instructions for each call, with and without users in its configuration.

    bench/rights.py BUILD [CALLS]

callgrind counts them, so the figures do not depend on the speed of the machine, nor on other programs. It does not count the
kernel's instructions, which rights do not change: of the calls per second, rights cost less than the figure. BUILD is a folder
with an optimised build (--buildtype=release).
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

USERS = """[user other]
uid = 4000000
may = call a.* b.* serve a.*
[user me]
uid = {uid}
may = push mail.> work mail.> subscribe news.> publish news.*
may = call a.* b.* c.*.d e.> serve a.* b.*
groups = callers
[group callers]
may = call > serve >
"""
FEW = 2000  # the calls of a broker that only starts and stops


def run(ferry, folder, config, calls):
    """The broker's instructions in a run with this many calls, in total and by function."""
    url, counts = f"ipc://{folder}/socket", folder / "counts"
    (folder / "conf").write_text(config)
    broker = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", ferry, "broker", "--bind", url,
                               "--config", folder / "conf", "--log-level", "error"], stderr=subprocess.DEVNULL)
    try:
        subprocess.run([ferry, "--url", url, "--wait", "60s", "ping", "--count", "1"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        subprocess.run([ferry, "--url", url, "bench", "call", "--serve", "--count", str(calls), "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
    finally:
        broker.terminate()
        broker.wait()
    shown = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", counts], check=True, text=True,
                           capture_output=True).stdout
    functions = {}
    for line in shown.splitlines():
        if match := re.match(r"\s*([\d,]+) \(.*\)\s+\S*?:(\w+)", line):
            functions[match[2]] = max(functions.get(match[2], 0), int(match[1].replace(",", "")))
    total = int(re.search(r"([\d,]+) \(100\.0+%\)\s+PROGRAM TOTALS", shown)[1].replace(",", ""))
    return total, functions


def for_each_call(ferry, folder, config, calls):
    (few, _), (many, functions) = (run(ferry, folder, config, n) for n in (FEW, FEW + calls))
    decisions = sum(functions.get(name, 0) for name in ("decisions_may", "quota_check"))
    return (many - few) / calls, decisions / (FEW + calls)


def main():
    ferry = pathlib.Path(sys.argv[1]).resolve() / "ferry"
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 40000
    with tempfile.TemporaryDirectory() as folder:
        without, _ = for_each_call(ferry, pathlib.Path(folder), "", calls)
        with_users, decisions = for_each_call(ferry, pathlib.Path(folder), USERS.format(uid=os.getuid()), calls)
    print(f"instructions of the broker for each call: {without:.0f} without users, {with_users:.0f} with users "
          f"({100 * (with_users / without - 1):+.1f} %)")
    print(f"of these, decisions on rights: {decisions:.0f} ({100 * decisions / without:.1f} %); the rest tells the server who calls")


main()
