#!/usr/bin/env python3
"""`ferry-idl format` changes nothing that matters: its text is canonical, and makes the same C."""
import pathlib, re, subprocess, sys, tempfile

idl, data = sys.argv[1], pathlib.Path(sys.argv[2])
failed = 0


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else f"{command}: {done.stderr}"


def words(text):
    # What has two spellings, or says nothing, has one spelling or goes.
    text = re.sub(r"\\[nrt]", " ", text)
    return sorted(w for w in re.findall(r"\w+", text) if w not in ("async", "oneway", "throws"))


with tempfile.TemporaryDirectory() as folder:
    files = sorted(data.glob("include/*.thrift")) + sorted(data.glob("y_*.thrift"))
    for f in files:
        once = run(idl, "format", str(f))
        copy = pathlib.Path(folder) / f.name
        copy.write_text(once)
        problems = []
        if run(idl, "format", str(copy)) != once:
            problems.append("formatting it again changes it")
        if subprocess.run([idl, "format", "--check", str(copy)], capture_output=True).returncode:
            problems.append("--check refuses it")
        include = ["-I", str(f.parent)]
        if run(idl, "--stdout", *include, str(copy)) != run(idl, "--stdout", *include, str(f)):
            problems.append("other C is made from it")
        if words(once) != words(f.read_text()):
            problems.append("words were lost")
        failed += bool(problems)
        for problem in problems:
            print(f"{f.name}: {problem}")
print(f"{len(files)} files, {failed} failures")
sys.exit(failed > 0 or not files)
