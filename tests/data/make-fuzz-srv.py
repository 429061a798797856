#!/usr/bin/env python3
"""Writes the seeds of tests/data/fuzz-srv: answers of a name server to a question about SRV records.
What fuzzers found stays beside them."""
import pathlib
import struct

QUESTION = b"\x06_ferry\x04_tcp\x01x\x04test\x00\x00\x21\x00\x01"
SRV, CNAME, A = 33, 5, 1


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(kind, data, owner=b"\xc0\x0c"):
    return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def srv(priority, weight, port, target):
    return record(SRV, struct.pack(">HHH", priority, weight, port) + (target if isinstance(target, bytes) else name(target)))


def answer(*records, code=0, count=None):
    return struct.pack(">HHHHHH", 7, 0x8400 | code, 1, len(records) if count is None else count, 0, 0) + QUESTION + b"".join(records)


SEEDS = {
    "one": answer(srv(10, 5, 5877, "a.test")),
    "several": answer(srv(10, 60, 5877, "a.test"), srv(10, 40, 5877, "b.test"), srv(20, 0, 5878, "c.test")),
    "many": answer(*(srv(i % 3, i, 5877, f"host-{i}.test") for i in range(100))),
    "compressed": answer(srv(1, 1, 1, b"\x01a\xc0\x1a")),
    "alias": answer(record(CNAME, name("other.test")), srv(1, 1, 1, "a.test")),
    "no-service": answer(srv(0, 0, 0, ".")),
    "port-0": answer(srv(0, 0, 0, "a.test")),
    "not-a-host": answer(srv(0, 0, 1, b"\x03a/b\x00"), srv(0, 0, 1, b"\x02\xff\n\x00")),
    "other-type": answer(record(A, b"\x7f\0\0\1")),
    "long-target": answer(srv(0, 0, 1, ".".join(["x" * 63] * 3 + ["y" * 61]))),
    "too-long-target": answer(srv(0, 0, 1, b"".join([b"\x3f" + b"x" * 63] * 5) + b"\0")),
    "loop": answer(srv(0, 0, 1, b"\xc0\x34")),
    "beyond-the-end": answer(srv(0, 0, 1, b"\xcf\xff")),
    "short-record": answer(record(SRV, b"\0\1\0")),
    "count-too-large": answer(srv(1, 1, 1, "a.test"), count=65535),
    "cut": answer(srv(10, 5, 5877, "a.test"))[:-3],
    "no-records": answer(),
    "head-alone": answer()[:12],
    "empty": b"",
}

folder = pathlib.Path(__file__).parent / "fuzz-srv"
folder.mkdir(exist_ok=True)
for title, data in SEEDS.items():
    (folder / title).write_bytes(data)
