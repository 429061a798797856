#!/usr/bin/env python3
"""Writes the seeds of tests/data/fuzz-unpack and tests/data/fuzz-description (the formats are in
tests/fuzz). What fuzzers found stays beside them. Needs python3-msgpack."""
import pathlib
import struct

from msgpack import packb

HERE = pathlib.Path(__file__).parent
TREE, ARGS, SHAPE, SIZES, MARKS, COLOR, STRING, DOUBLE = range(8)

LEAF = {"tiny": -1, "note": "first", "n": 1 << 20, "m": 3}
OAK = {"name": "oak", "leaves": [LEAF, {"tiny": 127, "n": -5}], "marks": [5, -5, 2**31 - 1],
       "sizes": {"a": 1, "Grüße": -2**63}, "shape": {"leaf": LEAF}, "color": -2, "raw": b"\0\xff",
       "id": bytes(range(16)), "on": True, "weight": 0.1, "small": -300}

BODIES = {
    "tree": (TREE, {**OAK, "next": {**OAK, "shape": {"side": 3}, "next": None}}),
    "tree-unknown-key": (TREE, {**OAK, "later": [1, {"x": 2.5}]}),
    "tree-twice": (TREE, b"\x82\xa4name\xa1a\xa4name\xa1b"),
    "tree-bomb": (TREE, b"\x82\xa4name\xa1a\xa6leaves\xdd\xff\xff\xff\xff"),
    "args": (ARGS, [1, LEAF, 2]),
    "args-fewer": (ARGS, [1, LEAF]),
    "args-more": (ARGS, [1, LEAF, None, "newer"]),
    "shape": (SHAPE, {"side": 1}),
    "shape-unknown": (SHAPE, {"round": 1}),
    "sizes": (SIZES, {"a": 1, "b": 2}),
    "sizes-twice": (SIZES, b"\x82\xa1a\x01\xa1a\x02"),
    "marks": (MARKS, list(range(-40, 40))),
    "marks-twice": (MARKS, [1, 1]),
    "color": (COLOR, 1),
    "color-unknown": (COLOR, 77),
    "color-range": (COLOR, 1 << 40),
    "string": (STRING, "€uro " * 8),
    "string-nul": (STRING, "a\0b"),
    "string-bad": (STRING, b"\xa2\xc3\x28"),
    "double": (DOUBLE, float("nan")),
    "double-int": (DOUBLE, 3),
}


def field(name, type, **more):
    return {"name": name, "type": type, "id": 1, **more}


EVERYTHING = {
    "v": 1, "service": "t.Trees", "extends": "base.Plants", "doc": "About trees.",
    "annotations": [["since", "1"]],
    "methods": [
        {"name": "plant", "args": [field("a", "i32", default=7, doc="how many"),
                                   field("leaf", "t.Leaf", optional=True)],
         "result": "t.Tree", "throws": [field("bad", "t.Bad")], "idempotent": True,
         "timeout_ms": 2000, "cache_ttl_ms": 30000, "doc": "Plants.",
         "annotations": [["deprecated", "use grow"]]},
        {"name": "talk", "args": [], "stream_in": "t.Shape", "inherited": True,
         "stream_out": ["map", "string", ["list", ["set", "t.Color"]]]},
        {"name": "forget", "oneway": True},
    ],
    "types": [
        {"name": "t.Leaf", "kind": "struct", "fields": [
            field("tiny", "i8", required=True), field("note", "string", default="none"),
            field("id", "uuid"), field("raw", "binary"), field("on", "bool"),
            field("weight", "double", default=0.5), field("when", "i64", optional=True)]},
        {"name": "t.Tree", "kind": "struct", "doc": "A tree.", "fields": [
            field("leaves", ["list", "t.Leaf"]), field("next", "t.Tree", optional=True)]},
        {"name": "t.Bad", "kind": "exception", "fields": [field("why", "string")]},
        {"name": "t.Shape", "kind": "union", "fields": [field("side", "i16"),
                                                        field("leaf", "t.Leaf")]},
        {"name": "t.Color", "kind": "enum", "values": [{"name": "RED", "value": 1},
                                                       {"name": "BLUE", "value": -2, "doc": "b"}]},
    ],
}
SMALL = {"v": 1, "service": "S", "methods": []}

DESCRIPTIONS = {
    "everything": (EVERYTHING, [1, {"tiny": 1, "id": bytes(16), "raw": b"", "on": False}]),
    "everything-tree": (EVERYTHING, {"leaves": [], "next": {"leaves": []}}),
    "everything-words": (EVERYTHING, {"a": "5", "leaf": None}),
    "small": (SMALL, []),
    "no-version": ({**SMALL, "v": 2}, []),
    "unknown-type": ({**SMALL, "methods": [{"name": "m", "args": [field("a", "t.None")]}]}, [1]),
    "endless": ({**SMALL, "methods": [{"name": "m", "result": "t.R"}],
                 "types": [{"name": "t.R", "kind": "struct", "fields": [field("r", "t.R")]}]}, {}),
    "empty": (b"", b""),
}


def packed(value):
    return value if isinstance(value, bytes) else packb(value)


def write(folder, name, data):
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / name).write_bytes(data)


for name, (which, body) in BODIES.items():
    write("fuzz-unpack", name, bytes([which]) + packed(body))
for name, (description, body) in DESCRIPTIONS.items():
    description = packed(description)
    write("fuzz-description", name, struct.pack(">H", len(description)) + description + packed(body))
