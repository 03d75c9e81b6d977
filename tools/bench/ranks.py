#!/usr/bin/env python3
"""Times several ranks of one thread against one rank with all threads, training and drawing, in alternating rounds of one run.

usage: ranks.py [--sizes shipped|wan] [--meshes dp=2,tp=2,ulysses=2] [--model DIR] [--latents DIR] [--rounds 3] [--binary build/release/baton]

Training: samples a second, median of the steps after the third. Drawing: the time of a batch in the denoiser; dp draws two batches against two in a row.
A ratio above 1 says that the ranks are faster. Sizes:
  shipped  configs/train/denoiser.yaml in its shared phase, 32 samples; with --model, 4 pictures in 24 steps, guidance 4. Relay, with a --model of several
           experts: 16 pictures, one by one, by two groups of experts against the same two ranks as tp=2, whole commands.
  wan      configs/bench/wan_slice.yaml, 2 samples of 1,024 tokens; one picture of 512 x 512 in 4 steps, guidance 4, by a model of these sizes that it makes
           for it from the first 8 pictures of data/emoji. About twelve minutes a round.
For the shipped sizes --latents names a folder `latents` of an earlier training, which saves encoding the data set again. Exit code 1 if a ratio is below 0.9
(relay: 1) in the median.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench_common import ROOT, THREADS, run, verdict

BAR = 0.9
DATA = ROOT / "data" / "emoji"


@dataclass
class Sizes:
    config: str
    train_steps: int
    pictures: int  # of the data set; 0: all
    batch: int  # pictures drawn at once
    draw_steps: int


SIZES = {
    "shipped": Sizes("configs/train/denoiser.yaml", 12, 0, 4, 24),
    "wan": Sizes("configs/bench/wan_slice.yaml", 6, 8, 1, 4),
}


def copy_pictures(folder, count):
    """The first pictures of the data set as one of their own."""
    lines = (DATA / "metadata.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    for name in (json.loads(line)["file_name"] for line in lines):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / name, folder / name)
    (folder / "metadata.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def train(options, folder, steps, mesh=None):
    settings = [f"checkpoint.folder={folder}", f"steps={steps}", "schedule.warmup=1", "experts.count=1", "experts.boundaries=[]", "experts.branch_at=0",
                "log_every=1", "validation.every=0", "checkpoint.every=0", "checkpoint.minutes=0", f"data.folder={options.data}"]
    words = [options.binary, "train", "--config", ROOT / options.sizes.config, "--progress", "none", "--threads", THREADS]
    for setting in settings:
        words += ["--set", setting]
    run(words + (["--mesh", mesh] if mesh else []))


def train_rate(options, mesh):
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        if options.latents:
            shutil.copytree(options.latents, Path(folder) / "latents")
        train(options, folder, options.sizes.train_steps, mesh)
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
        return statistics.median(line["samples_per_second"] for line in lines[3:])


def draw_rate(options, mesh):
    batches = 2 if mesh and mesh.startswith("dp") else 1
    batch = options.sizes.batch
    with tempfile.TemporaryDirectory() as folder:
        words = [options.binary, "generate", "red apple", "--model", options.model, "--out", folder, "--seed", 0, "--count", 2 * batch, "--batch", batch,
                 "--steps", options.sizes.draw_steps, "--guidance", 4, "--json", "--progress", "none", "--threads", THREADS]
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
        words = [options.binary, "generate", "red apple", "--model", options.model, "--out", folder, "--seed", 0, "--count", 16, "--batch", 1, "--steps", 24,
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
    parser.add_argument("--sizes", choices=SIZES, default="shipped")
    parser.add_argument("--meshes", default="dp=2,tp=2,ulysses=2")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--latents", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    options = parser.parse_args()
    options.sizes, options.data = SIZES[options.sizes], DATA
    with tempfile.TemporaryDirectory() as work:
        options.work = Path(work)
        if options.sizes.pictures:
            options.data, options.latents, options.model = options.work / "data", options.work / "first" / "latents", options.work / "first" / "model"
            copy_pictures(options.data, options.sizes.pictures)
            train(options, options.work / "first", 1)
        met = compare("training", train_rate, options)
        if options.model:
            met &= compare("drawing", draw_rate, options)
            if (options.model / "transformer_2").is_dir():
                met &= compare_relay(options)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
