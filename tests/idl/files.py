#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test which files ferry-idl writes: modes, links, and the depfile of several interfaces."""
import os, pathlib, stat, subprocess, sys, tempfile

idl = os.path.abspath(sys.argv[1])
failed = 0


def expect(what, good):
    global failed
    if not good:
        failed += 1
        print(f"failed: {what}")


def run(*arguments):
    return subprocess.run([idl, *arguments], capture_output=True, text=True)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    folder = pathlib.Path(work)
    (folder / "real").mkdir()
    private, link = folder / "private.thrift", folder / "link.thrift"
    target = folder / "real" / "target.thrift"
    for path in (private, target):
        path.write_text("struct   A { 1: i32 a }\n")
    private.chmod(0o600)
    target.chmod(0o640)
    link.symlink_to("real/target.thrift")
    canonical = run("format", "private.thrift").stdout
    expect("format -i succeeds", run("format", "-i", "private.thrift", "link.thrift").returncode == 0)
    expect("format -i rewrites the file", private.read_text() == canonical)
    expect("format -i keeps the mode", mode(private) == 0o600)
    expect("format -i keeps the link", link.is_symlink())
    expect("format -i rewrites the link's target", target.read_text() == canonical)
    expect("format -i keeps the mode of the link's target", mode(target) == 0o640)
    expect("nothing is left beside them", sorted(os.listdir("real")) == ["target.thrift"])

    (folder / "a.thrift").write_text("struct A { 1: i32 a }\n")
    (folder / "b.thrift").write_text('include "a.thrift"\nstruct B { 1: a.A a }\n')
    (folder / "bad.thrift").write_text("struct {\n")
    expect("two files are compiled", run("--depfile", "d", "a.thrift", "b.thrift").returncode == 0)
    lines = dict(line.split(": ") for line in (folder / "d").read_text().splitlines())
    expect("the depfile has a line for each file", set(lines) == {"./a.h ./a.c", "./b.h ./b.c"})
    expect("a depends on itself", lines.get("./a.h ./a.c") == "a.thrift")
    expect("b depends on both", set(lines.get("./b.h ./b.c", "").split()) == {"a.thrift", "b.thrift"})
    (folder / "a.h").chmod(0o640)
    (folder / "a.thrift").write_text("struct A { 1: i64 a }\n")
    run("a.thrift")
    expect("a generated file keeps its mode", mode(folder / "a.h") == 0o640)
    expect("a failure has status 1", run("--depfile", "e", "a.thrift", "bad.thrift").returncode == 1)
    expect("a failure writes no depfile", not (folder / "e").exists())
print(f"{failed} failures")
sys.exit(failed > 0)
