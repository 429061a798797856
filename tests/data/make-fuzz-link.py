#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of tests/data/fuzz-link: batches for both ends of a connection, and streams of
bytes. Run it in tests/data; what fuzzers found stays beside them. The first byte: see
tests/fuzz/fuzz-link.c."""
import importlib.util
import pathlib

HERE = pathlib.Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


zmtp, batch = load("make-fuzz-zmtp"), load("make-fuzz-batch")
HUB, SMALL, USUAL, ALL, NARROW, BEGUN, BATCHES, TWICE = 1, 2, 4, 6, 8, 16, 32, 64


def batches(*messages):
    out = b""
    for message in messages:
        packed = batch.pack(message) if isinstance(message, list) else message
        out += len(packed).to_bytes(2, "big") + packed
    return out


PART = [6, 1, b"x" * 200]
SEEDS = {}
for end, name in ((HUB, "hub"), (0, "client")):
    SEEDS |= {
        f"{name}-messages": (end | BEGUN | BATCHES | ALL,
                             batches(*batch.GOOD.values())),
        f"{name}-large": (end | BEGUN | BATCHES | USUAL | NARROW,
                          batches(PART, PART, PART, [10, 1, 1], [5, 500], [5, 900])),
        f"{name}-two-transfers": (end | BEGUN | BATCHES | SMALL | TWICE,
                                  batches(PART, [6, 2, b"y" * 99], PART, [10, 2, 2], [10, 1, 1])),
        f"{name}-transfer-too-large": (end | BEGUN | BATCHES | ALL,
                                       batches(*[[6, 1, b"x" * 1000]] * 5, [10, 1, 1])),
        f"{name}-pings": (end | BEGUN | ALL, zmtp.ping(b"abc") * 9 + zmtp.ping(b"ab")[:-1]),
        f"{name}-bytewise": (end | BEGUN | BATCHES, batches([3, 1], [10, 1, b"z" * 60], [7, "x"])),
        f"{name}-without-credit": (end | BEGUN | BATCHES | ALL | NARROW,
                                   batches(*[[10, 1, b"z" * 120]] * 30)),
        f"{name}-greeting": (end | USUAL | TWICE, zmtp.GREETING +
                             zmtp.ready(b"DEALER" if end else b"ROUTER") +
                             zmtp.frame(batch.HEAD + batch.pack([1, 1, 1, batch.T, None, 99, 0]))),
        f"{name}-wrong-type": (end | ALL, zmtp.GREETING + zmtp.ready(b"SUB")),
        f"{name}-more": (end | BEGUN | ALL, zmtp.frame(b"a", more=True)),
        f"{name}-large-frame": (end | BEGUN | USUAL, zmtp.frame(batch.HEAD + b"\x92\x07" +
                                                                bytes(3000))),
        f"{name}-cut": (end | BEGUN | SMALL, b"\x02" + bytes(6) + b"\x09\x00xxxx"),
    }

to = HERE / "fuzz-link"
to.mkdir(exist_ok=True)
for name, (first, data) in SEEDS.items():
    (to / name).write_bytes(bytes([first]) + data)
