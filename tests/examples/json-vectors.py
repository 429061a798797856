# SPDX-License-Identifier: Apache-2.0
"""Random JSON, a text to read and what Python's json writes of it: a line each. Every other one is
written with ensure_ascii."""
import json, random

random.seed(11)


def value(depth):
    kind = random.randint(0, 9 if depth < 4 else 7)
    if kind == 8:
        return [value(depth + 1) for _ in range(random.randint(0, 5))]
    if kind == 9:
        return {random.choice("abcαé😀\"\\/\b\f\n\r\t\x01\x7f") * random.randint(0, 3): value(depth + 1) for _ in range(random.randint(0, 5))}
    return random.choice([None, True, False, random.randint(-2**63, 2**64 - 1), random.randint(-300, 300),
                          random.uniform(-1e6, 1e6), random.uniform(0, 1) * 10.0 ** random.randint(-300, 300),
                          "".join(random.choice("xyz αβγ你好😀\"\\/\b\f\n\r\t\x1f\x7f") for _ in range(random.randint(0, 8)))])


for i in range(500):
    v = value(0)
    print(json.dumps(v, ensure_ascii=random.random() < 0.5, separators=random.choice([(",", ":"), (" , ", " : ")])))
    print(json.dumps(v, ensure_ascii=i % 2 == 0))
