#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of tests/data/fuzz-zmtp: the recorded sessions, cut to a length that a fuzzer
can work with, and the classic lies. Run it in tests/data; what fuzzers found stays beside them."""
import pathlib

HERE = pathlib.Path(__file__).parent
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)


def frame(body, command=False, more=False):
    flags = command * 4 | more
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + len(body).to_bytes(8, "big") + body


def ready(kind=b"DEALER", more=b""):
    return frame(b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind + more, True)


def ping(context=b""):
    return frame(b"\x04PING\x00\x0a" + context, True)


OPEN = GREETING + ready()
SEEDS = {  # name: (the first byte: odd for the ROUTER's end, and how pieces are cut; the stream)
    "open": (1, OPEN),
    "dealer-end": (0, GREETING + ready(b"ROUTER") + frame(b"hello")),
    "messages": (7, OPEN + frame(b"") + frame(b"x") + frame(b"y" * 255) + frame(b"z" * 256)),
    "largest": (21, OPEN + frame(bytes(2048))),
    "too-large": (1, OPEN + frame(bytes(2049))),
    "larger-than-all": (1, OPEN + b"\x02" + b"\xff" * 8),
    "pings": (3, OPEN + ping() + ping(b"0123456789abcdef") + ping(b"ab") + frame(b"\x04PONG", True)),
    "ping-too-long": (1, OPEN + ping(b"0123456789abcdefg")),
    "ping-cut": (1, OPEN + frame(b"\x04PING\x00", True)),
    "more": (1, OPEN + frame(b"a", more=True) + frame(b"b")),
    "message-first": (1, GREETING + frame(b"hello")),
    "identity": (1, GREETING + ready(more=b"\x08Identity\0\0\0\x08somebody")),
    "metadata-lies": (1, GREETING + ready(more=b"\x01X\xff\xff\xff\xff")),
    "metadata-many": (1, GREETING + ready(more=b"\x01X\0\0\0\0" * 30)),
    "command-long": (1, GREETING + frame(b"\x05READY" + bytes(1200), True)),
    "sub": (1, GREETING + ready(b"SUB")),
    "error": (1, OPEN + frame(b"\x05ERROR\x04full", True)),
    "error-lies": (1, OPEN + frame(b"\x05ERROR\xfffull", True)),
    "zmtp-1": (1, b"\x01\x00\x00\x05hello"),
    "zmtp-2": (1, b"\xff" + bytes(7) + b"\x01\x7f\x01\x05\x00\x00"),
    "zmtp-3-0": (1, GREETING.replace(b"\x03\x01", b"\x03\x00") + ready() + frame(b"hello")),
    "curve": (1, GREETING.replace(b"NULL\0", b"CURVE")),
    "http": (1, b"GET / HTTP/1.1\r\n\r\n"),
}

to = HERE / "fuzz-zmtp"
to.mkdir(exist_ok=True)
for name, (first, stream) in SEEDS.items():
    (to / name).write_bytes(bytes([first]) + stream)
for path in sorted((HERE / "zmtp").iterdir()):
    first = 0 if path.name.endswith("router") else 5
    (to / path.name).write_bytes(bytes([first]) + path.read_bytes()[:700])
