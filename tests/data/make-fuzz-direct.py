#!/usr/bin/env python3
"""Writes the seeds of tests/data/fuzz-direct: what one caller sends to a server of direct calls (the
format is in tests/fuzz/fuzz-direct.c). What fuzzers found stays beside them."""
import importlib.util
import pathlib
import struct

here = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("batch", here / "make-fuzz-batch.py")
batch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(batch)
pack = batch.pack

FRAMES, RAW, NO_HELLO, WITHDRAWN = 0, 1, 2, 4


def scene(flags, *batches):
    packed = [b"".join(map(pack, messages)) for messages in batches]
    return bytes([flags]) + b"".join(struct.pack(">H", len(data)) + data for data in packed)


def call(id, method="return", flags=0, service="a.Bc", body=b"\x92\x02\x03", timeout=1000):
    return [18, id, timeout, flags, 0, service, method, "", {"a": "b"}, body]


def hello(client):
    return [1, 1, 1, client, 1000]


SCENES = {
    "call": scene(FRAMES, [call(1)], [call(2, "keep"), call(3)]),
    "call-cancel": scene(FRAMES, [call(1, "keep"), [22, 1]], [[22, 1], [22, 9]]),
    "call-twice": scene(FRAMES, [call(1, "keep"), call(1)]),
    "call-other-service": scene(FRAMES, [call(1, service="a.Other")], [call(0), call(2, flags=16)]),
    "call-deadline": scene(FRAMES, [call(1, "keep", timeout=0), call(2, timeout=5000000)]),
    "call-many": scene(FRAMES, [call(i, "keep") for i in range(1, 90)]),
    "stream": scene(FRAMES, [call(1, "items", 6), [19, 1, b"x"], [20, 1], [20, 1]], [[21, 1, 99], [19, 1, b"y"]]),
    "stream-long": scene(FRAMES, [call(1, "keep", 2)], *[[[19, 1, b"x" * 700]]] * 9),
    "no-stream": scene(FRAMES, [call(1, "keep"), [19, 1, b"x"]]),
    "large": scene(FRAMES, [[6, 1, b"abc"], [6, 1, b"def"], [18, 1, 9, 0, 0, "a.Bc", "r", "", None, 1]]),
    "large-none": scene(FRAMES, [[18, 1, 9, 0, 0, "a.Bc", "r", "", None, 7], call(2, "keep", 2)], [[19, 2, 9]]),
    "control": scene(FRAMES, [[3, 1]], [[5, 1000]], [[4, 1]], [[7, "bye"]]),
    "control-mixed": scene(FRAMES, [[3, 1], call(1)]),
    "hello-twice": scene(FRAMES, [hello(b"a ticket" + bytes(8))]),
    "hello-unknown": scene(NO_HELLO, [hello(b"q" * 16)], [call(1)]),
    "hello-short": scene(NO_HELLO, [hello(b"q")]),
    "no-hello": scene(NO_HELLO, [call(1)]),
    "withdrawn": scene(WITHDRAWN, [call(1, "keep")], [[10, 1], [11, 1, {"type": "ferry.X"}]]),
    "other-op": scene(FRAMES, [[16, 1, "a.Bc", 1]]),
    "refused": scene(FRAMES, [[18, 1, "x", 0, 0, "a.Bc", "r", "", None, b""], [19, 1, 5]]),
    "raw": bytes([RAW]) + b"\x00\x03\xf7\x01\x93\x04\x09\x04PING\x00\x00",
    "raw-http": bytes([RAW | NO_HELLO]) + b"GET / HTTP/1.1\r\n\r\n",
}

folder = here / "fuzz-direct"
folder.mkdir(exist_ok=True)
for name, data in SCENES.items():
    (folder / name).write_bytes(data)
