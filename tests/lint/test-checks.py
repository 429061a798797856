#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test every check of this folder: each one must refuse a planted fault and accept a tree without it.

A case is a tree of its own: files that the case writes, and files of the project that it copies and may
change. The check runs on the tree. If it must refuse the tree, its output must name the place.

    test-checks.py [CHECK...]
"""
import contextlib
import io
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SPDX = "/* SPDX-License-Identifier: " + "Apache-2.0 */\n"
SKIPPED = 77
OF_TRACKED_FILES = {"format", "paths", "prose", "spdx", "words"}

cases = []


def accept(check, files, copy=(), changes=()):
    cases.append((check, files, copy, changes, None))


def refuse(check, place, files, copy=(), changes=()):
    """place: a text that the output must contain."""
    cases.append((check, files, copy, changes, place))


def function(body):
    return f"void f(void) {{\n    {body}\n}}\n"


# ---- circles ----

TWO = {"base/a.c": "int a_run(void) {\n    return b_run();\n}\n",
       "base/b.c": "int b_run(void) {\n    return a_run();\n}\n"}
THREE = {**TWO, "base/b.c": "int b_run(void) {\n    return c_run();\n}\n",
         "base/c.c": "int c_run(void) {\n    return 0;\n}\nint c_start(int (*f)(void)) {\n    return f == a_run;\n}\n"}

accept("circles", TWO)
refuse("circles", "base/c needs base/a", THREE)  # by a callback
accept("circles", {**THREE, "base/c.c": '/* a_run() */\nint c_run(void) {\n    puts("a_run");\n    return 0;\n}\n'
                   "static int a_run(void) {\n    return 0;\n}\n", "base/a.c": "static int x;\n"})
accept("circles", {"base/a.c": TWO["base/a.c"], "idl/b.c": TWO["base/b.c"]})
INLINE = {**THREE, "base/c.c": "", "base/c.h": "static inline int c_run(void) {\n    return a_run();\n}\n"}
refuse("circles", "base/c.h needs base/a", INLINE)
accept("circles", {**INLINE, "base/c.h": "int c_run(void);\nint a_run(void) __attribute__((cold));\nDEFINE_CLEANUP(A *, a_run);\n"})
for room in ("rpc/keys", "clients/json", "clients/msgpack-rpc"):
    refuse("circles", f"{room}/c needs {room}/a", {name.replace("base", room): text for name, text in THREE.items()})
HEADERS = {"base/a.h": '#include "base/b.h"\n', "base/b.h": '#include "base/a.h"\n'}
refuse("circles", "base/a.h needs base/b.h", HEADERS)
accept("circles", {**HEADERS, "base/b.h": '#include "idl/a.h"\n', "idl/a.h": '#include "base/a.h"\n'})

# ---- errors ----

ERRORS = ["base/error.c", "docs/errors.md", "docs/PROTOCOL.md", "docs/man/ferry.1.scd"]

accept("errors", {}, ERRORS)
accept("errors", {"broker/a.c": 'x = "ferry.NoSuchService";\n'}, ERRORS)
refuse("errors", "ferry.DeadlineExceeded: base/error.c says", {}, ERRORS, [("docs/errors.md", "ETIMEDOUT", "ETIME")])
refuse("errors", "ferry.DeadlineExceeded: base/error.c says", {}, ERRORS,
       [("docs/errors.md", "| `ferry.DeadlineExceeded`", "| ferry.DeadlineExceeded")])
refuse("errors", "there is no ferry.Planted", {}, ERRORS, [("docs/PROTOCOL.md", "# ", "`ferry.Planted` ")])
refuse("errors", "ferry.Planted is not in the table", {"broker/a.c": 'x = "ferry.Planted";\n'}, ERRORS)
refuse("errors", "broker/a.c: docs/errors.md says that only library throws ferry.Missed", {"broker/a.c": 'x = "ferry.Missed";\n'},
       ERRORS)

# ---- format ----

accept("format", {"a.c": function("g(1);")}, [".clang-format"])
refuse("format", "a.c: run clang-format", {"a.c": function("g( 1 );")}, [".clang-format"])
accept("format", {"a.c": "/* clang-format off */\nint  a;\n/* clang-format on */\n"}, [".clang-format"])
refuse("format", "a.c: write /* clang-format off */", {"a.c": "/* clang-format off: a table */\nint a;\n"},
       [".clang-format"])

# ---- layers ----

for file, line in [
        ("base/block.c", '#include "rpc/wire/reader.h"'),
        ("rpc/wire/reader.c", '#include "rpc/link/hub/hub.h"'),
        ("rpc/link/hub/hub.c", '#  include "broker/sessions/session.h"'),
        ("rpc/link/hub/hub.c", '#include "rpc/schema/codec/codec.h"'),
        ("broker/services/call.c", '#include "clients/c/core/core.h"'),
        ("broker/services/call.c", "#include <zmq.h>"),
        ("clients/c/core/client.c", "#include <hiredis/hiredis.h>"),
        ("rpc/wire/writer.c", "#include <msgpack.h>"),
        ("broker/stores/scan.h", "#include <uthash.h>"),
        ("examples/clock.c", '#include "base/clock.h"'),
        ("base/error.c", '#include "ferry/ferry.h"'),
        ("include/ferry/ferry.h", '#include "base/clock.h"'),
        ("rpc/link/inbox.c", '#include "rpc/link/hub/hub.h"'),
        ("rpc/address/socket.c", '#include "rpc/link/connection.h"'),
        ("clients/msgpack-rpc/gateway.c", '#include "rpc/link/connection.h"'),
        ("rpc/schema/codec/pack.c", '#include "rpc/schema/text/text.h"'),
        ("rpc/schema/description/describe.c", '#include "rpc/schema/text/text.h"'),
        ("idl/source/report.c", '#include "idl/syntax/ast.h"'),
        ("idl/syntax/format.c", '#include "idl/emit/emit.h"'),
        ("idl/check/check.c", '#include "idl/emit/c-names.h"'),
        ("idl/emit/emit.c", '#include "idl/commands/commands.h"'),
        ("broker/stores/memory.c", '#include "broker/queues/queue.h"'),
        ("broker/queues/push.c", '#include "broker/admin/admin.h"'),
        ("broker/unknown/push.c", '#include "broker/queues/queue.h"'),
        ("rpc/link/client/link.c", "#include <zmq.h>"),
        ("rpc/link/hub/hub.c", "#include <zmq.h>")]:
    refuse("layers", f"{file}:2:", {file: f"/* planted */\n{line}\n"})
for file, line in [
        ("broker/queues/push.c", '#include "broker/stores/store.h"'),
        ("rpc/schema/text/format.c", '#include "rpc/schema/codec/codec.h"'),
        ("idl/emit/emit.c", '#include "idl/syntax/ast.h"'),
        ("rpc/link/zmq/transport.c", "#include <zmq.h>"),
        ("rpc/link/hub/hub.c", '#include "base/block.h"'),
        ("cache/redis/redis.c", "#include <hiredis/hiredis.h>"),
        ("examples/clock.c", "#include <ferry/ferry.h>"),
        ("examples/clock.c", '#include "clock.h"'),
        ("clients/c/core/client.c", '#include "rpc/link/client/link.h"')]:
    accept("layers", {file: f"/* planted */\n{line}\n"})

# ---- names ----

accept("names", {"base/a-private.h": "", "base/a.c": '#include "base/a-private.h"\n'})
accept("names", {"broker/queues/queues-private.h": "", "broker/admin/a.c": '#include "broker/queues/queues-private.h"\n'})
refuse("names", "base/a-private.h is for the files of base",
       {"base/a-private.h": "", "cache/b.c": '#include "base/a-private.h"\n'})
refuse("names", "broker/queues/queues-private.h is for the files of broker/queues",
       {"broker/queues/queues-private.h": "", "broker/topics/a.c": '#include "broker/queues/queues-private.h"\n'})
accept("names", {"base/a.h": "", "base/a.c": '#include "base/a.h"\n'})
refuse("names", "base/a.h: only its folder includes it", {"base/a.h": "", "base/b.c": '#include "base/a.h"\n'})
accept("names", {"base/a.h": "", "base/b.c": '#include "base/a.h"\n', "idl/b.c": '#include "base/a.h"\n'})
for name in ("a-internal.h", "a_private.h", "a_p.h", "priv.h", "a-impl.h"):
    refuse("names", f"base/{name}: ", {f"base/{name}": ""})
refuse("names", "Planted is the name of several types: base/a.c, idl/b.h",
       {"base/a.c": "struct Planted {\n    int a;\n};\n", "idl/b.h": "typedef struct {\n    int b;\n} Planted;\n"})
refuse("names", "Planted is the name of several types",
       {"base/a.c": "enum Planted { A };\n", "idl/b.h": "typedef int (*Planted)(void);\n"})
accept("names", {"base/a.c": "struct Planted {\n    int a;\n};\n", "base/b.c": "/* struct Planted { */ struct Planted *p;\n"})
accept("names", {f"clients/cli/commands/{c}.c": "struct Run {\n    int a;\n};\n" for c in "ab"})
refuse("names", "planted() is the name of several functions: base/a.c, clients/web/b.c",
       {"base/a.c": "int planted(void) {\n}\n", "clients/web/b.c": "void planted(int a,\n             int b) {\n}\n"})
accept("names", {"base/a.c": "static int planted(void) {\n}\n", "base/b.c": "int planted(void);\nint planted(void) {\n}\n"})

# ---- paths ----

DOCUMENTS = dict.fromkeys(["CHANGELOG.md", "HACKING.md", "README.md", "docs/guide.md", "docs/idl.md", "examples/README.md"], "")

accept("paths", {**DOCUMENTS, "base/a.c": "", "README.md": "`base/a.c` [a](docs/guide.md) `a.c`"})
refuse("paths", "README.md: there is no base/b.c", {**DOCUMENTS, "base/a.c": "", "README.md": "`base/b.c`"})
refuse("paths", "docs/guide.md: links to README.md", {**DOCUMENTS, "docs/guide.md": "[a](README.md)"})

# ---- prints ----

for file, line in [
        ("clients/cli/commands/pub.c", 'printf("%s\\n", topic);'),
        ("clients/cli/commands/pub.c", 'printf("%-16s", topic);'),
        ("clients/cli/commands/pub.c", "printf(format, topic);"),
        ("clients/cli/commands/pub.c", 'fprintf(stderr, "a" "%.*s", n, topic);'),
        ("clients/cli/commands/pub.c", "fputs(topic, stdout);"),
        ("clients/cli/commands/pub.c", 'puts(json ? topic : "none");'),
        ("clients/cli/commands/pub.c", "fwrite(body, 1, len, stdout);"),
        ("broker/main.c", 'fprintf(stderr, "%s", name);'),
        ("broker/main.c", "puts(name);"),
        ("broker/main.c", "write(STDERR_FILENO, name, len);"),
        ("rpc/link/hub/hub.c", 'printf("%d", n);'),
        ("idl/commands/planted.c", 'fprintf(stderr, "%s", path);'),
        ("idl/check/planted.c", "fputs(name, stderr);")]:
    refuse("prints", f"{file}:2: ", {file: function(line)})
for file, line in [
        ("clients/cli/commands/pub.c", 'printf("%" PRIu64 ",\\n", n);'),
        ("clients/cli/commands/pub.c", 'printf(json ? "%d" : "%d ms", n);'),
        ("clients/cli/commands/pub.c", 'fputs(json ? "none" : "null", stdout);'),
        ("clients/cli/commands/pub.c", '/* printf("%s", topic); */'),
        ("clients/cli/commands/pub.c", 'out_format(stdout, "%s", topic);'),
        ("clients/cli/run/exec.c", "n = write(fd, data, len);"),
        ("clients/cli/terminal/out.c", "fwrite(data, 1, len, to);"),
        ("idl/commands/planted.c", "fwrite(data, 1, len, stdout);"),
        ("idl/main.c", "fputs(\"ferry-idl\\n\", stdout);"),
        ("idl/source/report.c", 'fprintf(to, "%s", on);'),
        ("broker/stores/log.c", "write(fd, data, len);"),
        ("broker/stores/log.c", 'fprintf(file, "%s", name);')]:
    accept("prints", {file: function(line)})

# ---- prose ----

for line in ("/* What is set aside has a body. */", "// Who calls it frees the block.", " * Whatever waits has come before.",
             "/* The worker, who takes it, frees it. */", "/* A message and its like. */", "/* A longer key is none. */",
             "/* ---- what is stored ---- */", "/* Forgets those that are gone. */", "/* NULL: the text is no name. */",
             "/* It ends in time, whatever happens. */", "/* One look, however many there are. */", "/* The call goes on. */",
             "/* All settings, but for the name. */", "/* Sums and the like. */", "/* The same for a queue. */",
             "/* Has it a wildcard? */", "/* Nobody reads it. */", "/* A server; NULL: none. */", "int n; /* that wait */",
             "int n; /* of these, large ones */", " * * A paragraph."):
    refuse("prose", "base/a.c:2: ", {"base/a.c": f"{SPDX}{line}\n"})
refuse("prose", "docs/a.md:1: ", {"docs/a.md": "What is deferred has a body.\n"})
for name, text in (("a.py", "call()  # The call goes on.\n"), ("b.py", 'def b():\n    """A message and its like."""\n'),
                   ("c.py", '"""Summary.\n\nWhat is set aside has a body.\n"""\n'), ("a.sh", "# One look, however many.\n"),
                   ("a.js", "// Who calls it frees it.\n"), ("a.js", "/* Sums and the like. */\n"),
                   ("meson.build", "# Forgets those that are gone.\n"), ("run-it", "#!/bin/sh\n# All settings, but for one.\n")):
    refuse("prose", f"{name}:", {name: text})
LIST = "/*\n *     role NAME     does one thing; then prints a word, and reads nothing more until the\n"
refuse("prose", "base/a.h:4: joined", {"base/a.h": SPDX + LIST + " * notification arrives role2 NAME     waits\n */\n"})
accept("prose", {"base/a.h": f"{SPDX}{LIST} *                   notification arrives\n */\n",
                 "base/b.h": SPDX + "/*\n *     role NAME     does one thing\n * The role ends at a signal.\n */\n"})
accept("prose", {"a.py": 'print("the call goes on")\n', "a.sh": "echo 'the call goes on'\n",
                 "tests/lint/test-checks.py": "# The call goes on.\n"})
accept("prose", {"base/a.c": SPDX + "/* Deferred messages of a kind without a body have no body. */\n",
                 "base/b.c": SPDX + 'const char *name = "nobody"; /* it has none of them */\n',
                 "docs/a.md": "## What is it?\n\nWho may call it? A thread that holds the lock.\n",
                 "tests/data/a.md": "What is set aside has a body.\n"})

# ---- settings ----

SETTINGS = ["broker/config.c", "broker/queues/settings.c", "broker/topics/settings.c", "docs/man/ferry.conf.5.scd"]

accept("settings", {}, SETTINGS)
refuse("settings", "QUEUES: max_jobs is missing", {}, SETTINGS, [("docs/man/ferry.conf.5.scd", "\n*max_jobs* = ", "\nmax_jobs = ")])
refuse("settings", "max_jobs is not read by the broker", {}, SETTINGS,
       [("broker/queues/settings.c", '"max_jobs"', '"planted"')])
refuse("settings", "planted is missing", {}, SETTINGS, [("broker/queues/settings.c", '"max_jobs"', '"planted"')])

# ---- spdx ----

accept("spdx", {"base/a.c": SPDX, "a.py": "#!/usr/bin/env python3\n" + SPDX.replace("/*", "#").replace(" */", ""),
                "tests/data/a.c": "", "a.md": ""})
for name in ("base/a.c", "a.h", "meson.build", "a.sh", "tests/a.thrift", "a.dict", "a.sym", "a.yml", ".gitignore"):
    refuse("spdx", f"{name}: the licence line is missing", {name: "\n"})
refuse("spdx", "run-it: the licence line is missing", {"run-it": "#!/bin/sh\n"})

# ---- unused ----

SYM = {"clients/c/libferry.sym": "FERRY_0 {\n    ferry_public;\n};\n"}
DEAD = {**SYM, "base/a.h": "int planted(int n);\n", "base/a.c": "int planted(int n) {\n    return n;\n}\n"}

refuse("unused", "base/a.c: planted() has no caller", DEAD)
refuse("unused", "planted() has no caller", {**DEAD, "tests/unit/test-a.c": function("planted(1);")})
refuse("unused", "planted() has no caller", {**DEAD, "base/b.c": "/* planted() */\nconst char *b = \"planted\";\n"})
refuse("unused", "planted_free() has no caller",
       {**SYM, "base/a.h": "A *planted_free(A *a);\nDEFINE_CLEANUP(A *, planted_free);\n",
        "base/a.c": "A *planted_free(A *a) {\n    return NULL;\n}\n"})
refuse("unused", "write_ext() has a caller", {**SYM, "rpc/a.c": "void write_ext(void) {\n    write_ext();\n}\n"})
accept("unused", {**DEAD, "rpc/b.c": "static int b = 1;\nint (*table[])(int) = {planted};\n"})
accept("unused", {**DEAD, "base/a.c": DEAD["base/a.c"] + "void ferry_public(void) {\n    planted(1);\n}\n"})

# ---- words ----

for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX"):
    refuse("words", "base/a.c:1: ", {"base/a.c": f"/* {word}: later */\n"})
accept("words", {"base/a.c": "/* mastodon */\n", "tests/data/a.c": "/* TO" + "DO */\n"})

# ---- exports: its arguments are a library, its list, and headers ----

LIBRARY = {"a.c": "int ferry_a(void);\nint ferry_a(void) {\n    return 0;\n}\n", "a.h": "int ferry_a(void);\n",
           "a.sym": "FERRY_0 {\n    ferry_a;\n};\n"}
accept("exports", LIBRARY)
refuse("exports", "ferry_a: exported, but not in libferry.sym", {**LIBRARY, "a.sym": "\n"})
refuse("exports", "ferry_b: in libferry.sym, but not exported", {**LIBRARY, "a.sym": LIBRARY["a.sym"] + "    ferry_b;\n"})
refuse("exports", "ferry_a: exported, but in no public header", {**LIBRARY, "a.h": "\n"})
refuse("exports", "ferry_b: in a public header, but not exported", {**LIBRARY, "a.h": LIBRARY["a.h"] + "int ferry_b(void);\n"})


def plant(root, files, copy, changes):
    for name in copy:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, old, new in changes:
        text = (root / name).read_text()
        if old not in text:
            sys.exit(f"{name} has no {old!r}: change the case")
        (root / name).write_text(text.replace(old, new, 1))


def track(root):
    git = ["git", "-C", root, "-c", "core.excludesFile="]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)


def run(check, root):
    """Exit status and output. The check runs in this process, which is much faster."""
    arguments = [str(root)]
    if check == "exports":
        subprocess.run(["cc", "-shared", "-fPIC", "-o", root / "a.so", root / "a.c"], check=True)
        arguments = [str(root / name) for name in ("a.so", "a.sym", "a.h")]
    script, output, status = HERE / f"check-{check}.py", io.StringIO(), 0
    sys.argv = [str(script), *arguments]
    with contextlib.redirect_stdout(output):
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
    return status, output.getvalue()


def main(only):
    os.environ.pop("GIT_DIR", None)
    os.environ.pop("GIT_INDEX_FILE", None)
    failed = skipped = 0
    for number, (check, files, copy, changes, place) in enumerate(cases):
        if only and check not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            plant(root, files, copy, changes)
            if check in OF_TRACKED_FILES:
                track(root)
            status, output = run(check, root)
        skipped += status == SKIPPED
        wrong = {"not refused": place is not None and status == 0, "refused": place is None and status != 0,
                 f"does not say {place!r}": place is not None and status != 0 and place not in output}
        for what in [what for what, is_so in wrong.items() if is_so and status != SKIPPED]:
            print(f"check-{check}, case {number}, {list(files) or changes}: {what}:\n{output}")
            failed += 1
    untested = {path.stem[6:] for path in HERE.glob("check-*.py")} - {case[0] for case in cases}
    for check in sorted(untested):
        print(f"check-{check} has no planted fault")
    print(f"{len(cases)} cases, {failed} failures, {skipped} skipped")
    return failed > 0 or bool(untested)


if __name__ == "__main__":
    if not shutil.which("git"):
        sys.exit(SKIPPED)
    sys.exit(main(sys.argv[1:]))
