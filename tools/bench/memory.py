#!/usr/bin/env python3
"""Peak memory of `baton generate` beyond the weights in use, and the time from the start to the first step.

usage: memory.py MODEL [--size WxH] [--steps 24] [--guidance 4] [--dtype auto|f32|bf16] [--rounds 5]

Memory is the largest resident set of the process (wait4), mapped weight files included; the weights in use are the .safetensors files of the text
encoder, the autoencoder and the experts that had a step. "to first step" is Baton's own seconds_start_to_first_step; "first step done" is measured from
outside, from starting the process to its report of the first step. MB are 10^6 bytes. Exit code 1 if the bars are missed: 300 MB, 0.5 s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_common import ROOT, THREADS, spread, verdict

MEGABYTE = 1e6
MAXIMAL_EXTRA, MAXIMAL_START = 300.0, 0.5


def measure(options, folder):
    """(peak bytes, seconds to the first step, seconds until it was done, steps of each expert) of one picture."""
    command = [
        options.binary, "generate", options.prompt, "--model", options.model, "--out", f"{folder}/picture.png", "--seed", 0, "--steps", options.steps,
        "--guidance", options.guidance, "--dtype", options.dtype, "--threads", options.threads, "--progress", "json", "--json",
    ]
    if options.size:
        command += ["--size", options.size]
    start = time.perf_counter()
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first_line = process.stderr.readline()
        first_step = time.perf_counter() - start
        messages, output = first_line + process.stderr.read(), process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{options.binary}: exit code {process.returncode}: {messages.strip()[-500:]}")
    picture = json.loads(output)
    return usage.ru_maxrss * 1024, picture["seconds_start_to_first_step"], first_step, picture["steps_per_expert"]


def weight_bytes(model, steps_per_expert):
    experts = ["transformer" if index == 0 else f"transformer_{index + 1}" for index, steps in enumerate(steps_per_expert) if steps > 0]
    folders = [*experts, "vae", *(path.name for path in model.glob("text_encoder*"))]
    return sum(file.stat().st_size for folder in folders for file in (model / folder).glob("*.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--prompt", default="a red heart")
    parser.add_argument("--size", metavar="WxH", help="default: the model's")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", default="4")
    parser.add_argument("--dtype", choices=("auto", "f32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [measure(options, folder) for _ in range(options.rounds)]
    peaks, starts, first_steps, steps_per_expert = zip(*rounds)
    weights = weight_bytes(options.model, steps_per_expert[0])
    extra = [(peak - weights) / MEGABYTE for peak in peaks]
    print(f"{options.model}  {options.steps} steps {list(steps_per_expert[0])}  guidance {options.guidance}  {options.dtype}  {options.threads} threads  "
          f"{options.rounds} rounds")
    print(f"{'':24} min / median / max")
    print(f"{'peak memory, MB':24} {spread([peak / MEGABYTE for peak in peaks], 1)}")
    print(f"{'weights in use, MB':24} {weights / MEGABYTE:.1f}")
    print(f"{'beyond the weights, MB':24} {spread(extra, 1)}")
    print(f"{'to first step, s':24} {spread(starts)}")
    print(f"{'first step done, s':24} {spread(first_steps)}")
    met = [verdict("memory beyond the weights", max(extra), MAXIMAL_EXTRA, at_least=False, unit=" MB"),
           verdict("start to first step", statistics.median(starts), MAXIMAL_START, at_least=False, unit=" s")]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
