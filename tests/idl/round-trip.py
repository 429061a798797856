#!/usr/bin/env python3
"""Random values of every type of every y_*.thrift, made with python3-msgpack, go through the
generated C and come back as they were, defaults filled in. Exit status 77 without msgpack."""
import json, pathlib, random, shutil, struct, subprocess, sys, tempfile

try:
    import msgpack
except ImportError:
    print("python3-msgpack is not installed")
    sys.exit(77)

driver, idl, data, include, library = sys.argv[1:6]
rounds = int(sys.argv[6]) if len(sys.argv) > 6 else 25
seed = random.randrange(1 << 32)
rng = random.Random(seed)
BOOL, I8, I16, I32, I64, DOUBLE, UUID, ENUM, STRING, BINARY, LIST, SET, MAP, STRUCT, UNION, EXCEPTION = range(1, 17)
BITS = {I8: 8, I16: 16, I32: 32, I64: 64}


class Pairs(list):
    """A map, in its order: keys need not be hashable."""


def pack(value):
    packer = msgpack.Packer(use_bin_type=True)
    if isinstance(value, Pairs):
        return packer.pack_map_header(len(value)) + b"".join(pack(k) + pack(v) for k, v in value)
    if isinstance(value, list):
        return packer.pack_array_header(len(value)) + b"".join(map(pack, value))
    return packer.pack(value)


def unpack(raw):
    return msgpack.unpackb(raw, raw=False, strict_map_key=False, object_pairs_hook=Pairs)


def distinct(values):
    return list({pack(v[0] if isinstance(v, tuple) else v): v for v in values}.values())


def text():
    return "".join(rng.choice("abc xyz\n\"\\äß€😀") for _ in range(rng.choice([0, 1, 5, 31, 32, 300])))


def scalar(kind, values):
    if kind == BOOL:
        return rng.random() < 0.5
    if kind in BITS:
        low, high = -(1 << BITS[kind] - 1), (1 << BITS[kind] - 1) - 1
        return rng.choice([low, high, 0, -1, 1, rng.randint(low, high), rng.randint(-40, min(140, high))])
    if kind == DOUBLE:
        return rng.choice([0.1, -1.5, 1e300, 5e-324, float("inf"), rng.uniform(-1e6, 1e6)])
    if kind == ENUM:
        return rng.choice(values + [rng.randint(-(1 << 31), (1 << 31) - 1)])
    if kind == UUID:
        return rng.randbytes(16)
    return text() if kind == STRING else rng.randbytes(rng.choice([0, 1, 40, 300]))


class TooDeep(Exception):
    pass


class Types:
    def __init__(self, table):
        self.table = table

    def make(self, number, depth=0):
        """A value as it is sent, and as it must come back."""
        if depth > 6:
            raise TooDeep
        t = self.table[number]
        if t["kind"] in (LIST, SET, MAP):
            return self.container(t, depth)
        if t["kind"] in (STRUCT, EXCEPTION):
            return self.struct(t, depth)
        if t["kind"] == UNION:
            f = rng.choice(t["fields"])
            sent, back = self.make(f["type"], depth + 1)
            return Pairs([(f["name"], sent)]), Pairs([(f["name"], back)])
        value = scalar(t["kind"], t["values"])
        return value, value

    def container(self, t, depth):
        made = []
        try:
            for _ in range(rng.choice([0, 1, 2, 3, 17]) if depth < 4 else 0):
                item = self.make(t["item"], depth + 1)
                made.append((self.make(t["key"], depth + 1), item) if t["kind"] == MAP else item)
        except TooDeep:
            made = []
        if t["kind"] != MAP:
            if t["kind"] == SET:  # what comes back decides: defaults may make two the same
                made = list({pack(m[1]): m for m in made}.values())
            return [m[0] for m in made], [m[1] for m in made]
        made = list({pack(m[0][1]): m for m in made}.values())
        return Pairs((k[0], v[0]) for k, v in made), Pairs((k[1], v[1]) for k, v in made)

    def struct(self, t, depth):
        sent, back = Pairs(), Pairs()
        for f in t["fields"]:
            pair = None
            if not f["optional"] or rng.random() < 0.6:
                try:
                    pair = self.make(f["type"], depth + 1)
                except TooDeep:
                    if not f["optional"]:
                        raise
            if pair:
                sent.append((f["name"], pair[0]))
                back.append((f["name"], pair[1]))
            elif f["default"]:
                back.append((f["name"], unpack(bytes.fromhex(f["default"]))))
        if rng.random() < 0.3:  # what is not known is skipped
            sent.insert(rng.randint(0, len(sent)), ("not known", [1, Pairs([("a", None)])]))
        return sent, back


class Driver:
    def __init__(self, so):
        self.process = subprocess.Popen([driver, so], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")


def symbols(so):
    out = subprocess.run(["nm", "-D", "--defined-only", so], capture_output=True, text=True, check=True).stdout
    return sorted(w[len("ferry_type_"):] for w in out.split() if w.startswith("ferry_type_"))


failed = tried = 0
with tempfile.TemporaryDirectory() as out:
    base = pathlib.Path(data)
    includes = sorted(base.glob("include/*.thrift"))
    for f in includes:
        subprocess.run([idl, "-o", out, str(f)], check=True)
    for f in includes + sorted(base.glob("y_*.thrift")):
        so = f"{out}/{f.stem}.so"
        subprocess.run([idl, "-o", out, str(f)], check=True, stderr=subprocess.DEVNULL)
        sources = {f"{out}/{f.stem}.c"} | ({f"{out}/{i.stem}.c" for i in includes} if "include \"" in f.read_text() else set())
        subprocess.run(["cc", "-std=c11", "-O0", "-fPIC", "-shared", "-I", include, "-I", out, *sorted(sources),
                        library, "-o", so], check=True)
        process = Driver(so)
        for name in symbols(so):
            types = Types(json.loads(process.ask(f"describe {name}")))
            for _ in range(rounds):
                try:
                    sent, back = types.make(0)
                except TooDeep:
                    continue
                tried += 1
                got = process.ask(f"{name} {pack(sent).hex()}")
                if got != pack(back).hex():
                    failed += 1
                    print(f"{f.name} {name}: got {got[:300]}, sent {sent!r}")
                    if failed > 10:
                        sys.exit(1)
        process.process.stdin.close()
        failed += process.process.wait() != 0
print(f"seed {seed}: {tried} values, {failed} failures")
sys.exit(failed > 0 or tried == 0)
