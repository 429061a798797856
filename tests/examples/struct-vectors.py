# SPDX-License-Identifier: Apache-2.0
"""Random formats and values with what Python's struct makes of them: FORMAT KIND:VALUE... = HEX."""
import random, struct

random.seed(10)
RANGES = {"b": (-2**7, 2**7 - 1), "B": (0, 2**8 - 1), "h": (-2**15, 2**15 - 1), "H": (0, 2**16 - 1),
          "i": (-2**31, 2**31 - 1), "I": (0, 2**32 - 1), "q": (-2**63, 2**63 - 1), "Q": (0, 2**64 - 1),
          "l": (-2**31, 2**31 - 1), "L": (0, 2**32 - 1)}
for _ in range(400):
    format, values, words = random.choice(["<", ">", "!", "=", "@", ""]), [], []
    for _ in range(random.randint(1, 8)):
        code = random.choice("bBhHiIqQlLfd?csx")
        count = random.randint(1, 20) if code == "s" else 1
        format += (str(count) if code == "s" else "") + code
        if code in RANGES:
            value = random.choice([*RANGES[code], random.randint(*RANGES[code])])
            words.append(f"u:{value}" if value >= 2**63 else f"i:{value}")
        elif code == "?":
            value = random.randint(0, 1)
            words.append(f"i:{value}")
        elif code in "fd":
            value = struct.unpack("<f", struct.pack("<f", random.uniform(-1e6, 1e6)))[0] if code == "f" else random.uniform(-1e300, 1e300)
            words.append(f"f:{value!r}")
        elif code in "cs":
            value = random.randbytes(count)
            words.append(f"b:{value.hex()}")
        else:
            continue
        values.append(value)
    print(format, *words, "=", struct.pack(format, *values).hex())
