#!/usr/bin/env python3
"""The C that is made from each y_*.thrift compiles without a warning: gcc and clang, C11 and C++17."""
import pathlib, shutil, subprocess, sys, tempfile

idl, data, include = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
COMPILERS = [["gcc", "-std=c11", "-x", "c"], ["clang", "-std=c11", "-x", "c"],
             ["g++", "-std=c++17", "-x", "c++"], ["clang++", "-std=c++17", "-x", "c++"]]
compilers = [c for c in COMPILERS if shutil.which(c[0])]
failed = 0


def run(what, command):
    global failed
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        failed += 1
        print(f"{what}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


with tempfile.TemporaryDirectory() as out:
    files = sorted(data.glob("include/*.thrift")) + sorted(data.glob("y_*.thrift"))
    good = [f for f in files if run(f"{f.name}", [idl, "-o", out, str(f)])]
    for f in good:
        source = f"{out}/{f.stem}.c"
        for compiler in compilers:
            run(f"{f.name} with {compiler[0]}",
                compiler + WARNINGS + ["-I", include, "-I", out, "-fsyntax-only", source])
print(f"{len(files)} files, {len(compilers)} compilers, {failed} failures")
sys.exit(failed > 0 or not compilers or not files)
