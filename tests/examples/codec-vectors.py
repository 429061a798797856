# SPDX-License-Identifier: Apache-2.0
"""Random octets and texts with what Python's codecs make of them. Fields are parted by tabs:

    decode CODEC ERRORS HEX good HEX
    decode CODEC ERRORS HEX POSITION LENGTH REASON
    encode likewise
"""
import random

random.seed(9)
CODECS = ["ascii", "utf-8", "gbk", "latin-1", "utf-16"]
WAYS = ["strict", "replace", "ignore"]
LETTERS = "aZ09 é\u00ffαβ你好，世界！\u20ac😀\U0010ffff"
CHINESE = "你好，世界！中文"


def octets(codec):
    text = "".join(random.choice(CHINESE if codec == "gbk" else LETTERS) for _ in range(random.randint(0, 6)))
    data = bytearray(text.encode(codec, "ignore"))
    for _ in range(random.randint(0, 2)):
        if codec == "gbk":  # in glibc 0x80 is the euro sign
            data[len(data):] = random.choice([b"\xff", b"\xff", b"\xc4"])
        elif codec == "utf-16":
            data += random.choice([b"\x00\xd8", b"\x00\xdc", b"a"])
        else:
            data.insert(random.randint(0, len(data)), random.randint(1, 255))
    return bytes(data)


def say(method, codec, way, data, convert):
    try:
        print(method, codec, way, data.hex(), "good", convert().hex(), sep="\t")
    except UnicodeError as e:
        print(method, codec, way, data.hex(), e.start, e.end - e.start, e.reason, sep="\t")


for _ in range(1000):
    codec, way = random.choice(CODECS), random.choice(WAYS)
    data = octets(codec)
    say("decode", codec, way, data, lambda: data.decode(codec, way).encode())
    letters = LETTERS.replace("\u20ac", "") if codec == "gbk" else LETTERS
    text = "".join(random.choice(letters) for _ in range(random.randint(0, 8)))
    say("encode", codec, way, text.encode(), lambda: text.encode(codec, way))
