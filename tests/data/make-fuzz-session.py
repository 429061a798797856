#!/usr/bin/env python3
"""Writes the seeds of tests/data/fuzz-session: small scenes between four peers (the format is in
tests/fuzz/fuzz-session.c). What fuzzers found stays beside them."""
import importlib.util
import pathlib
import struct

here = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("batch", here / "make-fuzz-batch.py")
batch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(batch)
pack = batch.pack


def step(peer, what, data=b""):
    return bytes([peer | what << 2]) + struct.pack(">H", len(data)) + data


def say(peer, *messages):
    return step(peer, 0, b"".join(map(pack, messages)))


def gone(peer):
    return bytes([peer | 2 << 2, 0, 0])


def wait(ms):
    return bytes([3 << 2]) + struct.pack(">H", ms)


def move(n):
    return bytes([3 << 2 | 16]) + struct.pack(">H", n)


A, B, C, D = range(4)
STREAM = 1 << 63
serve = say(A, [16, 1, "calc.Calc", 1, "one", b"idl"])


def call(id, flags=0, timeout=1000, parent=0, instance=""):
    return [18, id, timeout, flags, parent, "calc.Calc", "add", instance, {"a": "b"}, b"\x92\x02\x03"]


SCENES = {
    "call": serve + say(B, call(1)) + say(A, [10, 1, b"\x05"]),
    "call-ok-alone": serve + say(B, call(1)) + say(A, [10, 1]),
    "call-error": serve + say(B, call(1)) + say(A, [11, 1, {"type": "calc.E"}]) + say(A, [11, 1, 5]),
    "call-lost": serve + say(B, call(1), call(2), call(3, 1)) + gone(A),
    "call-moved": serve + say(C, [16, 1, "calc.Calc", 1]) + say(B, call(1, 1), call(2, 1), call(3, 1)) + gone(A) + gone(C),
    "call-deadline": serve + say(B, call(1), call(2)) + wait(999) + wait(2) + say(A, [10, 1, b""]),
    "call-cancel": serve + say(B, call(1), call(2), [22, 2], [22, 1]) + say(A, [10, 1, b""]),
    "call-caller-gone": serve + say(B, *[call(i) for i in range(1, 40)]) + gone(B) + say(A, [10, 1, b""]),
    "call-parent": serve + say(B, call(1)) + say(A, call(7, 0, 500, 1)) + wait(600) + gone(B),
    "call-none": say(B, call(1), call(2, 0, 5000000)),
    "call-instance": serve + say(B, call(1, 0, 10, 0, "one"), call(2, 0, 10, 0, "two")),
    "unserve": serve + say(B, call(1)) + say(A, [17, 2, "calc.Calc"], [10, 1, b""]) + say(B, call(2)),
    "stream": serve + say(B, call(1, 6), [19, 1, b"x"], [20, 1], [20, 1]) + say(A, [21, STREAM | 1, 99], [19, STREAM | 1, b"y"], [10, STREAM | 1, b""]),
    "stream-early": serve + say(B, *[call(i) for i in range(1, 36)]) + say(B, call(50, 2), [19, 50, b"x"], [20, 50]) + say(A, *[[10, i, b""] for i in range(1, 36)]),
    "end-no-stream": serve + say(B, call(1), [20, 1]),
    "more-no-stream": serve + say(B, call(1), [21, 1, 5]),
    "refused-own-call": serve + say(B, *[call(i) for i in range(1, 40)]) + say(B, [6, 1, b"x" * 1001], [10, 39, 1]),
    "shards": move(0) + move(1) + say(A, [49, 1, "shared.0", 4, 0, 1], [49, 2, "shared.1", 4]) + say(B, [48, 1, 0, "shared.0", {"key": "k"}, None, b"j"], [48, 2, 0, "shared.1", {"order": "o"}, None, b"j"])
    + wait(1) + say(A, [52, 9, 129, 1]) + move(2) + move(3) + move(0) + move(1) + wait(100) + move(0) + wait(3000) + say(B, [48, 1, 0, "shared.0", {"origin": batch.T}, None, b"j"]),
    "shards-away": say(A, [49, 1, "shared.0", 4, 0, 1], [49, 2, "shared.1", 4], [52, 3, 65, 1], [48, 4, 0, "shared.0", None, None, b"j"]) + gone(A) + move(0) + wait(61000),
    "shards-manage": move(0) + say(B, *[[18, i + 1, 100, 0, 0, "ferry.Broker", m, "", None, b"\x91" + pack("shared.0")] for i, m in enumerate(["queue", "purge", "pause", "resume", "shards"])])
    + say(B, [18, 9, 100, 0, 0, "ferry.Broker", "configure", "", None, pack(["shared.0", "ttl", "1s"])]) + move(0) + wait(10),
    "push-origin": say(A, [48, 7, 0, "mail", {"origin": batch.T}, None, b"j"], [48, 7, 0, "mail", {"origin": batch.T}, None, b"j"], [48, 8, 0, "mail", {"origin": b"short"}, None, b"j"]) + wait(60001),
    "pull-wait": say(A, [49, 1, "mail", 1, 0, 1]) + say(B, [48, 1, 0, "mail", None, None, b"j"]) + say(A, [133, "mail"]),
    "large": serve + say(B, [6, 1, b"abc"], [6, 1, b"def"], [18, 1, 9, 0, 0, "calc.Calc", "m", "", None, 1]) + say(A, [6, 9, b"r"], [10, 1, 9]),
    "manage": say(B, *[[18, i + 1, 100, 0, 0, "ferry.Broker", m, "", None, b"\x90"] for i, m in enumerate(["services", "topics", "queues", "sessions", "stats"])])
    + say(B, [18, 9, 1, 0, 0, "ferry.Broker", "describe", "", None, b"\x91\xa1x"], [18, 10, 1, 0, 0, "ferry.Broker", "peek", "", None, b"\x91\x01"]),
    "bye-hello": say(B, [7, "bye"]) + say(B, [3, 1]),
    "control-mixed": say(B, [3, 1], call(1)) + say(C, call(1), [3, 1]),
    "hello-twice": say(B, [1, 1, 1, b"b" * 16]),
    "hello-raw": step(B, 1, b"\xf7\x01" + pack([1, 1, 1, b"q" * 16, b"t" * 16, 1000, 0, 5, [[7, 1]], "n\x1b\n"])) + say(B, [5, 1 << 20]),
    "no-hello": step(B, 1, b"\xf7\x01" + pack([3, 1])),
    "topic": say(A, [32, 1, "prices.*"], [32, 2, "prices.>", {"group": "g", "last": 2, "overflow": "drop-oldest", "backlog": 100}])
    + say(B, [34, 1, 1, 0, "prices.eu", None, b"1"], [34, 2, 2, 50, "prices.eu", {"a": "b"}, b"2"]) + say(A, [36, 1, b"yes"]) + wait(60) + say(A, [33, 3, 1]) + gone(A),
    "queue": say(A, [49, 1, "mail", 2]) + say(B, [48, 1, 0, "mail", {"key": "k", "delay": 5, "priority": 3, "ttl": 100}, None, b"j"], [48, 2, 1, "mail", None, None, b"j"])
    + wait(10) + say(A, [52, 2, 1, 1], [53, 3, 2, 1, 5, "later"], [56, 4, 2, 1, 9]) + wait(10) + say(A, [54, 5, 2, 2, "bad"], [55, 6, 2, 2], [57, 7, 2, 2, "next", None, None, b"n"], [50, 8, 1]) + gone(A) + wait(700),
    "skipped-op": say(B, [200, 1]),
}
out = here / "fuzz-session"
out.mkdir(exist_ok=True)
for name, data in SCENES.items():
    (out / name).write_bytes(data)
