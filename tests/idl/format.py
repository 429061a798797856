#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test `ferry-idl format`: formatting twice gives the same text, the text compiles to the same C, and no
comment is lost. Each file is formatted as it is, and with random comments inserted."""
import pathlib, random, re, subprocess, sys, tempfile

idl, data = sys.argv[1], pathlib.Path(sys.argv[2])
seed = random.randrange(1 << 32)
rng = random.Random(seed)
failed = 0
TOKENS = re.compile(r"""/\*.*?\*/|(?://|\#)[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w.+-]+|\s+|.""", re.S)


def run(*command):
    done = subprocess.run(command, capture_output=True)
    return done.stdout if done.returncode == 0 else f"{command}: {done.stderr}".encode()


def words(text):
    # Words with two spellings become one spelling, and words without meaning are dropped.
    text = re.sub(r"\\[nrt]", " ", text.decode("utf-8-sig", "surrogateescape"))
    return sorted(w for w in re.findall(r"\w+", text) if w not in ("async", "oneway", "throws"))


def littered(text):
    n, pieces = 0, []
    for token in TOKENS.findall(text.decode("utf-8-sig", "surrogateescape")):
        pieces.append(token)
        # Behind a line comment, the new comment would be a part of it.
        if rng.random() < 0.1 and not token.startswith(("//", "#")):
            n += 1
            pieces.append(rng.choice([" /* {0} */", " // {0}\n", " # {0}\n", "/* {0}\n     more\n */",
                                      "\n\n/* {0} */\n\n", "\n// {0}\n\n"]).format(f"comment_{n}"))
    return "".join(pieces).encode("utf-8", "surrogateescape")


def check(name, text):
    """Format the copy beside the file, so that its includes are found."""
    global failed
    problems = []
    file, copy = folder / name, folder / "formatted" / name
    file.write_bytes(text)
    once = run(idl, "format", str(file))
    copy.write_bytes(once)
    if run(idl, "format", str(copy)) != once:
        problems.append("formatting it again changes it")
    if subprocess.run([idl, "format", "--check", str(copy)], capture_output=True).returncode:
        problems.append("--check refuses it")
    if run(idl, "--stdout", "-I", str(file.parent), str(copy)) != run(idl, "--stdout", str(file)):
        problems.append("the compiler makes different C from it")
    if words(once) != words(text):
        problems.append("words were lost")
    failed += bool(problems)
    for problem in problems:
        print(f"{name}: {problem}")
    if problems and b"comment_" in text:
        print(text.decode(errors="replace"))


with tempfile.TemporaryDirectory() as work:
    folder = pathlib.Path(work)
    (folder / "formatted").mkdir()
    (folder / "include").mkdir()
    (folder / "formatted" / "include").mkdir()
    files = sorted(data.glob("include/*.thrift")) + sorted(data.glob("y_*.thrift"))
    for f in files:
        (folder / f.relative_to(data)).write_bytes(f.read_bytes())
    for f in files:
        check(f.relative_to(data), f.read_bytes())
    for f in files:
        # This file consists of words that look like comments, so inserted comments cannot be told apart.
        if f.stem not in ("y_comments", "y_only_comments"):
            check(f.relative_to(data), littered(f.read_bytes()))
print(f"seed {seed}: {len(files)} files, {failed} failures")
sys.exit(failed > 0 or not files)
