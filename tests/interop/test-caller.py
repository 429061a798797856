#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs "A caller in twenty lines" of docs/PROTOCOL.md as it stands there: test-caller.py FERRY PROTOCOL.md."""
import os, re, subprocess, sys, tempfile, time

try:
    import msgpack, zmq  # noqa: F401  what the caller imports
except ModuleNotFoundError as e:
    print(f"skipped: {e}")
    sys.exit(77)

ferry, protocol = sys.argv[1:]
text = open(protocol).read()
program = re.search(r"^## A caller in twenty lines\n\n```python\n(.*?)^```", text, re.M | re.S)[1]
lines = [line for line in program.splitlines() if line.strip()]
assert len(lines) <= 20, f"{len(lines)} lines"


def call(*args):
    done = subprocess.run([sys.executable, "-c", program, url, *args], capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


with tempfile.TemporaryDirectory() as folder:
    url = f"ipc://{folder}/broker"
    started = [subprocess.Popen([ferry, "broker", "--bind", url, "--log-level", "error"])]
    try:
        serve = [ferry, "-u", url, "serve", "words.sum", "--exec", 'read a; echo "sum of $a"']
        while not os.path.exists(f"{folder}/broker"):
            time.sleep(0.01)
        started.append(subprocess.Popen(serve))
        until = time.monotonic() + 120
        while call("words", "sum", "2", "3")[0] and time.monotonic() < until:
            time.sleep(0.05)
        assert call("words", "sum", "2", "3") == (0, "sum of [2, 3]"), call("words", "sum", "2", "3")
        code, said = call("words", "fly")
        assert code == 1 and said.startswith("ferry.NoSuchMethod: "), said
        code, said = call("nobody.Here", "sum")
        assert code == 1 and said == "ferry.NoSuchService: no server offers 'nobody.Here'", said
        print(f"a caller in {len(lines)} lines: an answer and two errors: ok")
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
