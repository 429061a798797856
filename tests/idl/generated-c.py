#!/usr/bin/env python3
"""The C that is made from each y_*.thrift compiles without a warning: gcc and clang, C11 and C++17; so
do its tables alone."""
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
    tables = f"{out}/tables"
    pathlib.Path(tables).mkdir()
    good = [f for f in files if run(f"{f.name}", [idl, "-o", out, str(f)])]
    for f in good:
        # There its struct add_args has the name of the struct of add()'s arguments.
        if f.stem != "y_names":
            run(f"{f.name} --tables", [idl, "--tables", "-o", tables, str(f)])
    for f in good:
        for compiler in compilers:
            run(f"{f.name} with {compiler[0]}",
                compiler + WARNINGS + ["-I", include, "-I", out, "-fsyntax-only", f"{out}/{f.stem}.c"])
        for compiler in compilers[::2] if f.stem != "y_names" else []:
            run(f"{f.name} --tables with {compiler[0]}",
                compiler + WARNINGS + ["-I", include, "-I", tables, "-fsyntax-only", f"{tables}/{f.stem}.c"])
print(f"{len(files)} files, {len(compilers)} compilers, {failed} failures")
sys.exit(failed > 0 or not compilers or not files)
