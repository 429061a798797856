#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compile the generated C of each y_*.thrift, and a program that uses every macro of its header, without
a warning: gcc as C11 and clang as C++17, or, with the argument "all", both compilers in both languages. The
source must define all that the header declares."""
import concurrent.futures, pathlib, re, shutil, subprocess, sys, tempfile

idl, data, include = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
COMPILERS = [["gcc", "-std=c11", "-x", "c"], ["clang++", "-std=c++17", "-x", "c++"]]
if sys.argv[4:] == ["all"]:
    COMPILERS += [["g++", "-std=c++17", "-x", "c++"], ["clang", "-std=c11", "-x", "c"]]
compilers = [c for c in COMPILERS if shutil.which(c[0])]
failed = 0


def fail(what, text):
    global failed
    failed += 1
    print(f"{what}:\n{text}")


def run(what, command, cwd=None):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        fail(what, done.stdout + done.stderr)
    return done.returncode == 0


def user_of(stem, header):
    """A program that uses every macro, by value and as a constant."""
    types = {t.upper(): t for t in re.findall(r"^(?:typedef )?struct (\w+) \{", header, re.M)}
    thrown = dict(re.findall(r"^int (\w+)_at\(const char \*file,[^;]*const (\w+) \*value\);", header, re.M))
    lines = []
    pieces = set(re.findall(r"^#define (\w+(?<!_INIT)) \{", header, re.M))  # of initialisers
    for macro, arguments in re.findall(r"^#define (\w+)(\(request, \.\.\.\))? \S", header, re.M):
        if arguments:
            lines.append(f"{{ {thrown[macro]} v = {thrown[macro].upper()}_INIT; sum += {macro}(request, &v); }}")
        elif macro.endswith("_INIT"):
            t = types[macro[:-5]]
            lines.append(f"{{ static const {t} s = {macro}; {t} v = {macro}; v = s; (void)v; }}")
        elif macro not in pieces:
            lines.append(f"(void)({macro});")
    text = "\n".join("    " + line for line in lines)
    return f'#include "{stem}.c"\nint use(ferry_request *request);\nint use(ferry_request *request) {{\n' \
           f"    int sum = request == NULL;\n{text}\n    return sum;\n}}\n", len(lines)


def undefined(header, object_file):
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    code = re.sub(r"^#define.*\\\n.*|^#.*|\btypedef [^;{]*;", "", code, flags=re.M)
    names = set(re.findall(r"^[a-z][\w ]*[ *](\w+)\([^;{]*\);", code, re.M))
    names |= set(re.findall(r"^extern const \w+ (?:\*const )?(\w+)", code, re.M))
    symbols = subprocess.run(["nm", "--defined-only", object_file], capture_output=True, text=True)
    return names, sorted(names - {line.split()[2] for line in symbols.stdout.splitlines()})


with tempfile.TemporaryDirectory() as out:
    files = sorted(data.glob("include/*.thrift")) + sorted(data.glob("y_*.thrift"))
    good = [f for f in files if run(f"{f.name}", [idl, "-o", out, str(f)])]
    headers = {f.stem: pathlib.Path(f"{out}/{f.stem}.h").read_text() for f in good}
    n_uses = n_names = 0
    for stem, header in headers.items():
        text, n = user_of(stem, header)
        n_uses += n
        pathlib.Path(f"{out}/use-{stem}.c").write_text(text)
    users = [f"{out}/use-{stem}.c" for stem in headers]

    def compile_all(i):  # the first compiler makes objects
        run(compilers[i][0], compilers[i] + WARNINGS + ["-I", include, "-I", out, "-c" if i == 0 else "-fsyntax-only", *users],
            cwd=out)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(compile_all, range(len(compilers))))
    for stem, header in headers.items():
        names, missing = undefined(header, f"{out}/use-{stem}.o")
        n_names += len(names)
        if missing:
            fail(stem, f"declared but not defined: {missing}")

    # endian.h would hide the system's <endian.h> from every program that has its folder in the path.
    endian = pathlib.Path(f"{out}/named/endian.thrift")
    endian.parent.mkdir()
    endian.write_text("service Endian { i32 swap(1: i32 n) }")
    if run("--name", [idl, "-o", str(endian.parent), "--name", "swap-api", "--depfile", f"{endian.parent}/d", str(endian)]):
        made = sorted(path.name for path in endian.parent.iterdir())
        if made != ["d", "endian.thrift", "swap-api.c", "swap-api.h"] or "swap-api.h" not in (endian.parent / "d").read_text():
            fail("--name", f"made {made}")
        run("--name", compilers[0] + WARNINGS + ["-I", include, "-I", str(endian.parent), "-fsyntax-only",
                                                 f"{endian.parent}/swap-api.c"])
        if "int endian_swap(" not in (endian.parent / "swap-api.h").read_text():
            fail("--name", "the functions are named differently")
    for wrong in (["--name", "a/b", str(endian)], ["--name", "x", str(endian), str(endian)], ["--name=", str(endian)]):
        if subprocess.run([idl, "-o", out, *wrong], capture_output=True).returncode != 2:
            fail("--name", f"took {wrong}")
print(f"{len(files)} files, {len(compilers)} compilers, {n_uses} macros, {n_names} names, {failed} failures")
sys.exit(failed > 0 or not compilers or not files or not n_uses or not n_names)
