#!/usr/bin/env python3
"""Runs the commands of the README as they stand there, in a folder that looks like a fresh clone after a build.

usage: tools/dev/check_readme.py [FILE.md…]

A command is a line of a code block, or a `span` of a text or table cell, that begins with a program of ours (tools/…, build/…, baton, mpirun) and, in a span, has an
argument. Every one of them is run, or matches a line of LEFT_OUT, which says why it is not.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = re.compile(r"(tools/|build/|baton |mpirun )")
LEFT_OUT = [  # the beginning of a command, as a regular expression; why it is not run here
    (r".*(…|\b(COMMAND|SECONDS|DIR|FILE|N|T)\b)|mpirun -n \d$", "a pattern, no command"),
    (r"tools/quickstart$", "builds; .ci/run begins with it"),
    (r"tools/test$", "is what runs this"),
    (r"build/release/tests/|tools/fuzz", "another part of tools/test"),
    (r"tools/python tools/golden/", "compares with PyTorch and diffusers, which are not Debian packages"),
    (r"(tools/python )?tools/bench/(\w*against\w*|ranks|memory)\.py", "measures for minutes, most of them beside PyTorch"),
    (r".*baton train .*configs/train/", "trains for hours"),
    (r"tools/datasets/emoji|tools/python tools/eval/retrieval\.py|.*data/emoji", "wants a font package, data/emoji, and minutes"),
]


def commands(text):
    """The line number and text of each command, once."""
    seen = set()
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
            continue
        spans = [line] if fenced else [span for span in re.findall(r"`([^`]+)`", line) if " " in span.strip()]
        for command in (re.sub(r"\s+#.*", "", span).strip() for span in spans):
            if re.fullmatch(r"baton \w+", command):  # a mention
                command += " --help"
            if PROGRAM.match(command) and command not in seen:
                seen.add(command)
                yield number, command


def fresh_clone(folder):
    """What git tracks at the top, and the build, linked into an empty folder, so that what commands write stays out of the tree."""
    tracked = subprocess.run(["git", "ls-tree", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in [*tracked, "build"]:
        (folder / name).symlink_to(ROOT / name)


def run(command, folder):
    environment = {**os.environ, "PATH": f"{ROOT}/build/release:{os.environ['PATH']}", "OMP_WAIT_POLICY": "passive",
                   "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    try:
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, "not done after 300 s"


def main():
    files = [Path(name) for name in sys.argv[1:]] or [ROOT / "README.md"]
    unused = {pattern for pattern, _ in LEFT_OUT}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="baton_readme_") as scratch:
        fresh_clone(Path(scratch))
        for file in files:
            for number, command in commands(file.read_text(encoding="utf-8")):
                where = f"{file.name}:{number}: {command}"
                matching = [(pattern, reason) for pattern, reason in LEFT_OUT if re.match(pattern, command)]
                if matching:
                    unused.discard(matching[0][0])
                    print(f"{where}\n    not run: {matching[0][1]}")
                    continue
                began = time.monotonic()
                code, output = run(command, Path(scratch))
                print(f"{where}\n    exit code {code}, {time.monotonic() - began:.1f} s", flush=True)
                if code != 0:
                    failed += 1
                    print("\n".join(output.splitlines()[-20:]))
    if not sys.argv[1:]:
        failed += len(unused)
        for pattern in sorted(unused):
            print(f"LEFT_OUT has {pattern}, which no command matches first")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
