#!/usr/bin/env python3
"""Writes the seeds of tests/data/fuzz-batch: one valid batch for each kind of message, and the
classic lies. Run it in tests/data when a message is added; what fuzzers found stays beside them."""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "fuzz-batch"
HEAD = b"\xf7\x01"


def pack(v):
    if v is None:
        return b"\xc0"
    if isinstance(v, int):
        if v < 128:
            return bytes([v])
        return b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, str):
        return bytes([0xA0 | len(v)]) + v.encode()
    if isinstance(v, bytes):
        if len(v) < 256:
            return b"\xc4" + bytes([len(v)]) + v
        return b"\xc5" + struct.pack(">H", len(v)) + v
    if isinstance(v, list):
        return bytes([0x90 | len(v)]) + b"".join(map(pack, v))
    return bytes([0x80 | len(v)]) + b"".join(pack(k) + pack(x) for k, x in v.items())


T = b"0123456789abcdef"
GOOD = {
    "hello": [1, 1, 1, T, None, 1 << 20, 0, 5, [[7, 1], [8, 2]], "test"],
    "welcome": [2, 1, T, T, 1790000000, 1 << 20, 1, {"max_body": 1 << 26}],
    "ping": [3, 1], "pong": [4], "credit": [5, 262144], "part": [6, 1, b"x" * 300],
    "bye": [7, "slow"], "fault": [8, {"type": "ferry.Protocol", "message": "no"}],
    "ok": [10, 1, b"\x05"], "ok-alone": [10, 1], "ok-seq": [10, 1, None, 9],
    "ok-transfer": [10, 1, 3],
    "error": [11, 1, {"type": "calc.Div", "data": b"\x81\xa1a\x01", "trace": ["f at a.c:1"],
                      "cause": {"type": "ferry.NotFound"}, "retry": 10}],
    "serve": [16, 1, "calc.Calc", 4, "one", b"idl"], "unserve": [17, 2, "calc.Calc"],
    "call": [18, 3, 30000, 7, 0, "calc.Calc", "add", "", {"traceparent": "00-1"}, b"\x92\x02\x03"],
    "call-text": [18, (1 << 63) + 1, 100, 0, 0, "a", "b", "c", None, None, "caller"],
    "item": [19, 3, b"item"], "end": [20, 3], "more": [21, 3, 65536], "cancel": [22, 3],
    "subscribe": [32, 4, "prices.*.>", {"group": "g", "last": 10, "resume": 3}],
    "unsubscribe": [33, 5, 4], "publish": [34, 6, 3, 100, "prices.eu", {"a": "b"}, b"1"],
    "message": [35, 4, 1, 2, "prices.eu", None, b"1"], "answer": [36, 2, b"yes"],
    "gap": [37, 4], "gap-count": [37, 4, 12], "gap-nil": [37, 4, None],
    "push": [48, 7, 1, "mail", {"key": "k", "delay": 5}, {"a": "b"}, b"job"],
    "pull": [49, 8, "mail", 10], "pull-wait": [49, 8, "mail", 10, 0, 1], "unpull": [50, 9, 8], "job": [51, 8, 1, 1, None, b"job"],
    "ack": [52, 10, 1, 1], "retry": [53, 11, 1, 1, 500, "later"],
    "reject": [54, 12, 1, 1, "bad"], "release": [55, 13, 1, 1], "extend": [56, 14, 1, 1, 9],
    "forward": [57, 15, 1, 1, "next", {"priority": 3}, None, b"job"],
    "lost": [58, 1, 1, 3], "moved": [133, "mail", T, "tcp://b:5877"],
    "error-moved": [11, 7, {"type": "ferry.Moved", "broker": T, "url": "tcp://b:5877"}],
    "unknown-skipped": [250, {"x": [1, 2, {"y": None}]}], "unknown-fault": [99, 1],
    "trailing": [52, 10, 1, 1, "later", {"v": 2}], "too-few": [52, 10],
}
BAD = {
    "empty": b"", "head-alone": HEAD, "magic": b"\xf6\x01\x91\x03", "protocol": b"\xf7\x02\x91\x03",
    "array-lies": HEAD + b"\xdd\xff\xff\xff\xff\x03", "map-lies": HEAD + b"\x92\x08\xdf\xff\xff\xff\xff",
    "bin-lies": HEAD + b"\x93\x06\x01\xc6\xff\xff\xff\xff\x00", "str-lies": HEAD + b"\x92\x07\xdb\x7f\xff\xff\xff",
    "ext-lies": HEAD + b"\x92\x08\xc9\xff\xff\xff\xff\x00", "never-used": HEAD + b"\x92\x08\xc1",
    "deep": HEAD + b"\x92\x08" + b"\x91" * 10000, "deep-32": HEAD + b"\x92\x08" + b"\x91" * 31 + b"\xc0",
    "deep-33": HEAD + b"\x92\x08" + b"\x91" * 32 + b"\xc0", "empty-array": HEAD + b"\x90",
    "not-array": HEAD + b"\xa5hello", "negative-id": HEAD + b"\x92\x16\xff",
    "header-not-str": HEAD + pack([51, 1, 1, 1, {"a": 1}, None]),
    "header-empty-key": HEAD + pack([51, 1, 1, 1, {"": "x"}, None]),
}
HERE.mkdir(exist_ok=True)
for name, message in GOOD.items():
    (HERE / name).write_bytes(HEAD + pack(message))
for name, data in BAD.items():
    (HERE / name).write_bytes(data)
(HERE / "many").write_bytes(HEAD + b"".join(pack(m) for m in GOOD.values() if m[0] not in (99,) and len(m) > 2))
(HERE / "cut").write_bytes((HEAD + pack(GOOD["call"]))[:-3])
