#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test check-prints.py: plant each kind of print in a tree of its own and run the check on it."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).parent / "check-prints.py"

PLANTED = {  # file, line: is it refused?
    ("clients/cli/commands/pub.c", 'printf("%s\\n", topic);'): True,
    ("clients/cli/commands/pub.c", 'printf("%-16s", topic);'): True,
    ("clients/cli/commands/pub.c", "printf(format, topic);"): True,
    ("clients/cli/commands/pub.c", 'fprintf(stderr, "a" "%.*s", n, topic);'): True,
    ("clients/cli/commands/pub.c", "fputs(topic, stdout);"): True,
    ("clients/cli/commands/pub.c", "puts(json ? topic : \"none\");"): True,
    ("clients/cli/commands/pub.c", "fwrite(body, 1, len, stdout);"): True,
    ("clients/cli/commands/pub.c", 'printf("%" PRIu64 ",\\n", n);'): False,
    ("clients/cli/commands/pub.c", 'printf(json ? "%d" : "%d ms", n);'): False,
    ("clients/cli/commands/pub.c", 'fputs(json ? "none" : "null", stdout);'): False,
    ("clients/cli/commands/pub.c", '/* printf("%s", topic); */'): False,
    ("clients/cli/commands/pub.c", 'out_format(stdout, "%s", topic);'): False,
    ("clients/cli/run/exec.c", "n = write(fd, data, len);"): False,
    ("clients/cli/terminal/out.c", "fwrite(data, 1, len, to);"): False,
    ("broker/main.c", 'fprintf(stderr, "%s", name);'): True,
    ("broker/main.c", "puts(name);"): True,
    ("broker/main.c", "write(STDERR_FILENO, name, len);"): True,
    ("rpc/link/hub/hub.c", 'printf("%d", n);'): True,
    ("broker/stores/log.c", "write(fd, data, len);"): False,
    ("broker/stores/log.c", 'fprintf(file, "%s", name);'): False,
}

for (path, line), refused in PLANTED.items():
    with tempfile.TemporaryDirectory() as root:
        file = pathlib.Path(root, path)
        file.parent.mkdir(parents=True)
        file.write_text(f"void f(void) {{\n    {line}\n}}\n")
        got = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
        if (got.returncode != 0) != refused:
            sys.exit(f"{path}: {line}: refused {got.returncode != 0}, not {refused}\n{got.stdout}")
print(f"{len(PLANTED)} planted prints")
