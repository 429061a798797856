#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends random values of every type of every y_*.thrift, and of every argument and result of their
methods, through the generated C. Each value must come back unchanged, with its defaults filled in. The
objects of the _INIT macros are packed in C and compared with the type's defaults.

The values are the same in every run: TEST_SEED (1) is the first seed, TEST_SEEDS (1) says how many seeds
are tried. Exit status 77 without python3-msgpack."""
import json, os, pathlib, random, re, struct, subprocess, sys, tempfile

try:
    import msgpack
except ImportError:
    print("python3-msgpack is not installed")
    sys.exit(77)

driver, idl, data, include, library = sys.argv[1:6]
ROUNDS = 2  # values of each type, for each seed
ITEMS = 150  # items and fields of one value, because types that contain themselves would grow without limit
first_seed, n_seeds = int(os.environ.get("TEST_SEED", 1)), int(os.environ.get("TEST_SEEDS", 1))
rng = random.Random()
BOOL, I8, I16, I32, I64, DOUBLE, UUID, ENUM, STRING, BINARY, LIST, SET, MAP, STRUCT, UNION, EXCEPTION, ARGS = range(1, 18)
OPTIONAL, POINTER, REQUIRED = 1, 2, 4
BITS = {I8: 8, I16: 16, I32: 32, I64: 64}


class Pairs(list):
    """A map that keeps its order, with keys that need not be hashable."""


def pack(value):
    packer = msgpack.Packer(use_bin_type=True)
    if isinstance(value, Pairs):
        return packer.pack_map_header(len(value)) + b"".join(pack(k) + pack(v) for k, v in value)
    if isinstance(value, list):
        return packer.pack_array_header(len(value)) + b"".join(map(pack, value))
    return packer.pack(value)


def wide(value):
    """The value in longer forms than necessary, as other languages may send it."""
    if rng.random() < 0.5 or value is None or isinstance(value, (bool, float)):
        if not isinstance(value, list):
            return pack(value)
    if isinstance(value, Pairs):
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(wide(k) + wide(v) for k, v in value)
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(wide, value))
    if isinstance(value, int):
        return struct.pack(">Bq", 0xd3, value) if value < 0 or rng.random() < 0.5 else struct.pack(">BQ", 0xcf, value)
    raw = value.encode() if isinstance(value, str) else value
    return (b"\xdb" if isinstance(value, str) else b"\xc6") + struct.pack(">I", len(raw)) + raw


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


class NoValue(Exception):
    pass


def may_be_absent(field):
    return field["flags"] & OPTIONAL or (field["default"] and not field["flags"] & REQUIRED)


def default_of(field):
    return unpack(bytes.fromhex(field["default"]))


class Types:
    def __init__(self, table):
        self.table = table
        self.left = 0  # items and fields that the value may still get

    def value(self):
        """A value of the first type: the value to send, and the value that must come back."""
        self.left = ITEMS
        return self.make(0)

    def make(self, number, depth=0):
        self.left -= 1
        if depth > 6:
            raise TooDeep
        t = self.table[number]
        if t["kind"] in (LIST, SET, MAP):
            return self.container(t, depth)
        if t["kind"] in (STRUCT, EXCEPTION):
            return self.struct(t, depth)
        if t["kind"] == ARGS:
            return self.arguments(t)
        if t["kind"] == UNION:
            if not t["fields"]:
                raise TooDeep  # no value of an empty union can be sent
            f = rng.choice(t["fields"])
            sent, back = self.make(f["type"], depth + 1)
            return Pairs([(f["name"], sent)]), Pairs([(f["name"], back)])
        value = scalar(t["kind"], t["values"])
        return value, value

    def container(self, t, depth):
        made = []
        try:
            for _ in range(rng.choice([0, 1, 2, 3, 17]) if depth < 4 else 0):
                if self.left <= 0:
                    break
                item = self.make(t["item"], depth + 1)
                made.append((self.make(t["key"], depth + 1), item) if t["kind"] == MAP else item)
        except TooDeep:
            made = []
        if t["kind"] != MAP:
            if t["kind"] == SET:  # compared as they come back: defaults may make two items equal
                made = list({pack(m[1]): m for m in made}.values())
            return [m[0] for m in made], [m[1] for m in made]
        made = list({pack(m[0][1]): m for m in made}.values())
        return Pairs((k[0], v[0]) for k, v in made), Pairs((k[1], v[1]) for k, v in made)

    def struct(self, t, depth):
        sent, back = Pairs(), Pairs()
        for f in t["fields"]:
            pair = None
            if not may_be_absent(f) or (self.left > 0 and rng.random() < 0.6):
                try:
                    pair = self.make(f["type"], depth + 1)
                except TooDeep:
                    if not may_be_absent(f):
                        raise
            if pair:
                sent.append((f["name"], pair[0]))
                back.append((f["name"], pair[1]))
                continue
            if f["flags"] & OPTIONAL and rng.random() < 0.2:
                sent.append((f["name"], None))
            if f["default"]:
                back.append((f["name"], default_of(f)))
        if rng.random() < 0.3:  # unknown fields are skipped
            sent.insert(rng.randint(0, len(sent)), ("not known", [1, Pairs([("a", None)])]))
        return sent, back

    def arguments(self, t):
        """Arguments in order, with nil for an absent optional one. The last ones may be missing, or extra ones may follow."""
        sent, back = [], []
        n = len(t["fields"])
        while n > 0 and may_be_absent(t["fields"][n - 1]) and rng.random() < 0.4:
            n -= 1
        for i, f in enumerate(t["fields"]):
            if i < n and not (f["flags"] & OPTIONAL and rng.random() < 0.4):
                pair = self.make(f["type"], 1)
                sent.append(pair[0])
                back.append(pair[1])
                continue
            if i < n:
                sent.append(None)
            back.append(default_of(f) if f["default"] else None)
        if n == len(t["fields"]) and rng.random() < 0.3:
            sent += [1, Pairs([("a", None)])]
        return sent, back

    def initial(self, number):
        """The value of the type's _INIT macro."""
        t = self.table[number]
        if t["kind"] in (STRUCT, EXCEPTION):
            value = Pairs()
            for f in t["fields"]:
                if f["flags"] & OPTIONAL:
                    continue
                if f["flags"] & POINTER:
                    raise NoValue
                value.append((f["name"], default_of(f) if f["default"] else self.initial(f["type"])))
            return value
        if t["kind"] == UNION:
            for f in t["fields"]:
                if f["default"]:
                    return Pairs([(f["name"], default_of(f))])
            raise NoValue
        zeros = {BOOL: False, DOUBLE: 0.0, UUID: bytes(16), STRING: "", BINARY: b"", LIST: [], SET: [], MAP: Pairs()}
        return zeros.get(t["kind"], 0)


class Driver:
    def __init__(self, so):
        self.process = subprocess.Popen([driver, so], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")


def symbols(so, kind):
    out = subprocess.run(["nm", "-D", "--defined-only", so], capture_output=True, text=True, check=True).stdout
    prefix = f"ferry_{kind}_"
    return sorted(w[len(prefix):] for w in out.split() if w.startswith(prefix))


def objects(header):
    """C that has an object ferry_init_TYPE for every _INIT macro."""
    types = {t.upper(): t for t in re.findall(r"^(?:typedef )?struct (\w+) \{", header, re.M)}
    lines = [f"extern const {types[m]} ferry_init_{types[m]};\nconst {types[m]} ferry_init_{types[m]} = {m}_INIT;\n"
             for m in re.findall(r"^#define (\w+)_INIT ", header, re.M)]
    return "".join(lines)


failed = tried = inits = 0


def fail(text):
    global failed
    failed += 1
    print(text)
    if failed > 10:
        sys.exit(1)


def check_init(process, types, name):
    global inits
    inits += 1
    got = process.ask(f"init {name}")
    try:
        wanted = pack(types.initial(0)).hex()
    except NoValue:
        wanted = "!"
    if got != wanted and not (wanted == "!" and got.startswith("!")):
        fail(f"{name}_INIT: got {got[:300]}, not {wanted}")


def check_values(process, types, name, seed):
    global tried
    rng.seed(f"{seed} {name}")
    for _ in range(ROUNDS):
        try:
            sent, back = types.value()
        except TooDeep:
            continue
        tried += 1
        got = process.ask(f"{name} {(wide(sent) if rng.random() < 0.2 else pack(sent)).hex()}")
        if got != pack(back).hex():
            fail(f"seed {seed}, {name}: got {got[:300]}, sent {sent!r}")


def compile_all(out):
    """The C of all interfaces in one library."""
    files = sorted(pathlib.Path(data).glob("include/*.thrift")) + sorted(pathlib.Path(data).glob("y_*.thrift"))
    sources = []
    for f in files:
        subprocess.run([idl, "-o", out, str(f)], check=True, stderr=subprocess.DEVNULL)
        initials = pathlib.Path(f"{out}/{f.stem}-initials.c")
        initials.write_text(f'#include "{f.stem}.h"\n' + objects(pathlib.Path(f"{out}/{f.stem}.h").read_text()))
        sources += [f"{out}/{f.stem}.c", str(initials)]
    so = f"{out}/all.so"
    subprocess.run(["cc", "-std=c11", "-O0", "-fPIC", "-shared", "-I", include, "-I", out, *sources, library,
                    "-o", so], check=True)
    return so


with tempfile.TemporaryDirectory() as out:
    so = compile_all(out)
    process = Driver(so)
    with_init = symbols(so, "init")
    names = symbols(so, "type")
    for service in symbols(so, "service"):
        names += process.ask(f"methods {service}").split()
    for name in names:
        types = Types(json.loads(process.ask(f"describe {name}")))
        if name in with_init:
            check_init(process, types, name)
        for seed in range(first_seed, first_seed + n_seeds):
            check_values(process, types, name, seed)
    process.process.stdin.close()
    failed += process.process.wait() != 0
print(f"{n_seeds} seeds from {first_seed}: {tried} values, {inits} initial values, {failed} failures")
sys.exit(failed > 0 or tried == 0 or inits == 0)
