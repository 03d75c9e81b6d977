#!/usr/bin/env python3
"""One picture on an idle and on a busy machine: seconds of the whole command, alone and beside two busy loops.

usage: busy.py [--model DIR] [--loops 2] [--rounds 5] [--ranks 1] [--binary build/release/baton]

Idle and busy runs alternate. --ranks N: N processes under mpirun. Needs a machine without other work: everything on it counts. OMP_WAIT_POLICY and
GOMP_SPINCOUNT reach Baton as they are set here. Exit code 1 if the bar is missed: busy at most 3 times idle, by the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_common import ROOT, run, spread, verdict

MOST_TIMES = 3.0
LOOP = "while :; do :; done"


def seconds_of(options, folder):
    command = [options.binary, "generate", "red apple", "--model", options.model, "--out", f"{folder}/picture.png", "--seed", 7, "--progress", "none"]
    if options.ranks > 1:
        command = ["mpirun", "--oversubscribe", "-n", options.ranks, *command, "--mesh", f"tp={options.ranks}"]
    start = time.perf_counter()
    run(command, os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "assets" / "model")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--loops", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=1)
    options = parser.parse_args()
    idle, busy = [], []
    with tempfile.TemporaryDirectory() as folder:
        seconds_of(options, folder)  # files come into memory
        for _ in range(options.rounds):
            idle.append(seconds_of(options, folder))
            loops = [subprocess.Popen(["sh", "-c", LOOP]) for _ in range(options.loops)]
            try:
                busy.append(seconds_of(options, folder))
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
    print(f"idle: {spread(idle)} s; beside {options.loops} busy loops: {spread(busy)} s (min / median / max)")
    times = statistics.median(busy) / statistics.median(idle)
    sys.exit(0 if verdict("busy / idle", times, MOST_TIMES, at_least=False) else 1)


if __name__ == "__main__":
    main()
