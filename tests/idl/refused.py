#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test the reports of ferry-idl: n_*.thrift fail, y_*.thrift succeed and may have warnings, and
check/*.new.thrift break callers or servers of *.old.thrift. Comments list texts that must be in the output
(`// expect: TEXT`) and texts that must not (`// expect-not: TEXT`). A comparison reports nothing else.
If a file cannot have comments, they are in a file of the same name with .expect at the end."""
import pathlib, re, subprocess, sys, tempfile

idl, data = sys.argv[1], pathlib.Path(sys.argv[2])
failed = n = 0


def check(name, expecting, command, status, and_no_more=False):
    global failed, n
    n += 1
    beside = expecting.with_suffix(".expect")
    text = (beside if beside.exists() else expecting).read_bytes().decode(errors="replace")
    text = text.replace("\r\n", "\n")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
    said = done.stdout + done.stderr
    wanted = re.findall(r"^// expect: (.*)$", text, re.M)
    problems = [f"did not say: {w}" for w in wanted if w not in said]
    problems += [f"said: {w}" for w in re.findall(r"^// expect-not: (.*)$", text, re.M) if w in said]
    for what in ("error", "warning") if and_no_more else ():
        n_said, n_wanted = len(re.findall(f"^\\S+: {what}: ", said, re.M)), sum(w.startswith(f"{what}:") for w in wanted)
        if n_said != n_wanted:
            problems.append(f"said {n_said} {what}s, not {n_wanted}")
    if not wanted:
        problems.append("expects nothing")
    if done.returncode != status:
        problems.append(f"exit status {done.returncode}")
    if "Sanitizer" in said or ": runtime error: " in said:
        problems.append("a sanitizer has something to say")
    for line in re.findall(r"^.*: error: .*$", said, re.M):
        if not re.match(r"\S+:\d+:\d+: error: ", line):
            problems.append(f"no place: {line}")
    if problems:
        failed += 1
        print(f"{name}:", *problems, sep="\n  ")
        print(said[:3000])


for f in sorted(data.glob("n_*.thrift")):
    check(f.name, f, [idl, "--stdout", str(f)], 1)
for f in sorted(data.glob("y_*.thrift")):
    if b"// expect" in f.read_bytes():
        check(f.name, f, [idl, "--stdout", str(f)], 0)
for f in sorted(data.glob("check/*.new.thrift")):
    old = str(f).replace(".new.", ".old.")
    check(f.name, f, [idl, "check", old, str(f)], 0 if "same" in f.name else 1, True)
# The limit of docs/idl.md; as a file it would have 8 193 lines.
with tempfile.TemporaryDirectory() as work:
    for n_values, status in ((8192, 0), (8193, 1)):
        f = pathlib.Path(work) / f"{n_values}.thrift"
        f.write_text("enum Many {\n" + "".join(f"  V{i}\n" for i in range(n_values)) + "}\n// expect: "
                     + ("error: there are more than 8192 values" if status else "V8191") + "\n")
        check(f"an enum of {n_values} values", f, [idl, "--stdout", str(f)], status)
# The text and the name of an interface file, and words of the command line, cannot control the terminal or imitate a report.
CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffd]")
HOSTILE = "a\x1b[2J\x9b1m\u202e\u2028"
FILES = {"annotation": f'service A {{ void a() (timeout = "{HOSTILE}\\n/x.thrift:1:1: error: forged") }}',
         "include": f'include "{HOSTILE}.thrift"', "expected": f'struct "{HOSTILE}"', "enum": f'enum A {{ B = "{HOSTILE}" }}',
         "extra": f"struct A {{ }} {HOSTILE}", "line": f'struct A {{ 1: i9 a }} // {HOSTILE}', "carriage return": "struct A\r/* \r */ b",
         "constant": f'const i32 A = "{HOSTILE}\\tb"', "not UTF-8": "struct A { 1: i9 a } // \udc9b\udcff"}
with tempfile.TemporaryDirectory() as work:
    name = pathlib.Path(work) / f"{HOSTILE}.thrift"
    commands = [(what, [idl, "--stdout", str(name)], text) for what, text in FILES.items()]
    commands += [("format", [idl, "format", "--check", str(name)], "struct  A { }"), ("no file", [idl, f"{work}/{HOSTILE}"], ""),
                 ("an option", [idl, f"--{HOSTILE}"], ""), ("no folder", [idl, "-o", f"{work}/{HOSTILE}", str(name)], "struct A { }"),
                 ("nothing to compare", [idl, "diff", "--live", "ipc:///x", str(name)], "struct A { }")]
    for what, command, text in commands:
        n += 1
        name.write_bytes(text.encode(errors="surrogateescape"))
        done = subprocess.run(command, capture_output=True, timeout=60)
        said = (done.stdout + done.stderr).decode(errors="replace")
        found = CONTROLS.search(said) or re.search("^/x.thrift", said, re.M)
        if found or "\\x1b" not in said and what not in ("carriage return", "not UTF-8") or done.returncode == 0:
            failed += 1
            print(f"{what}: {done.returncode} {found}: {said!r}")
print(f"{n} files, {failed} failures")
sys.exit(failed > 0 or n == 0)
