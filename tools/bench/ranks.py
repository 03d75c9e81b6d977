#!/usr/bin/env python3
"""Times several ranks of one thread against one rank with all threads, training and drawing, in alternating rounds of one run.

usage: ranks.py [--meshes dp=2,tp=2,ulysses=2] [--model DIR] [--latents DIR] [--steps 12] [--rounds 3] [--binary build/release/baton]

Training: the shipped denoiser (configs/train/denoiser.yaml) in its shared phase; samples a second, median of the steps after the third. Drawing, with
--model: one batch of 4 pictures, 24 steps, guidance 4; dp draws two batches of 4 against two in a row. A ratio above 1 says that the ranks are faster.
Relay, with a --model of several experts: 16 pictures, one by one, by two groups of experts against the same two ranks as tp=2, whole commands.
--latents names a folder `latents` of an earlier training, which saves encoding the data set again. Exit code 1 if a ratio is below 0.9 (relay: 1) in
the median.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import ROOT, THREADS, run, verdict

BAR = 0.9


def train_rate(options, mesh):
    with tempfile.TemporaryDirectory() as folder:
        if options.latents:
            shutil.copytree(options.latents, Path(folder) / "latents")
        settings = [f"checkpoint.folder={folder}", f"steps={options.steps}", "schedule.warmup=1", "experts.count=1", "experts.boundaries=[]", "experts.branch_at=0",
                    "log_every=1", "validation.every=0", "checkpoint.minutes=0"]
        words = [options.binary, "train", "--config", ROOT / "configs" / "train" / "denoiser.yaml", "--progress", "none", "--threads", THREADS]
        for setting in settings:
            words += ["--set", setting]
        run(words + (["--mesh", mesh] if mesh else []))
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
        return statistics.median(line["samples_per_second"] for line in lines[3:])


def draw_rate(options, mesh):
    batches = 2 if mesh and mesh.startswith("dp") else 1
    with tempfile.TemporaryDirectory() as folder:
        words = [options.binary, "generate", "red apple", "--model", options.model, "--out", folder, "--count", 8, "--batch", 4, "--steps", 24,
                 "--guidance", 4, "--json", "--progress", "none", "--threads", THREADS]
        lines = [json.loads(line) for line in run(words + (["--mesh", mesh] if mesh else [])).splitlines()]
        return batches / statistics.median(line["seconds_denoise"] for line in lines)


def compare(what, rate, options):
    met = True
    for mesh in options.meshes.split(","):
        ratios, rates = [], []
        for _ in range(options.rounds):
            one, many = rate(options, None), rate(options, mesh)
            ratios.append(many / one)
            rates.append((one, many))
        one, many = (statistics.median(column) for column in zip(*rates))
        print(f"{what:8} {mesh:12} one rank {one:8.2f}/s  {mesh} {many:8.2f}/s  ratio min {min(ratios):.2f} median {statistics.median(ratios):.2f} max {max(ratios):.2f}")
        met &= verdict(f"{what}, {mesh}", statistics.median(ratios), BAR)
    return met


def relay_seconds(options, mesh):
    with tempfile.TemporaryDirectory() as folder:
        words = [options.binary, "generate", "red apple", "--model", options.model, "--out", folder, "--count", 16, "--batch", 1, "--steps", 24,
                 "--guidance", 4, "--progress", "none", "--threads", THREADS, "--mesh", mesh]
        start = time.monotonic()
        run(words)
        return time.monotonic() - start


def compare_relay(options):
    times = [(relay_seconds(options, "ep=2"), relay_seconds(options, "tp=2")) for _ in range(options.rounds)]
    relay, tensor = (statistics.median(column) for column in zip(*times))
    ratio = statistics.median(t / r for r, t in times)
    print(f"relay    16 pictures  ep=2 {relay:.2f} s  tp=2 {tensor:.2f} s")
    return verdict("relay against tp=2", ratio, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", default="dp=2,tp=2,ulysses=2")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--latents", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    options = parser.parse_args()
    met = compare("training", train_rate, options)
    if options.model:
        met &= compare("drawing", draw_rate, options)
        if (options.model / "transformer_2").is_dir():
            met &= compare_relay(options)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
