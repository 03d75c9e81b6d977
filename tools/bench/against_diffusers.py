#!/usr/bin/env python3
"""Times `baton generate` and diffusers on one pipeline directory, alternating in one run, and prints how many times faster Baton is.

usage: against_diffusers.py --model DIR [--size 128x128] [--steps 24] [--guidance 4] [--batch 1] [--dtype f32|bf16] [--rounds 5]

Runs in an environment with diffusers (tools/golden/README.md names the packages); DIR has one or two experts. Both programs get the same prompt,
steps, sampler, precision and number of threads. Loading is not timed, and both are warm: diffusers has drawn one batch before the first round, and
Baton draws two batches in each round of which the second counts. Baton's times are its own: the sum over the batch of the keys seconds_encode,
seconds_denoise, seconds_decode and seconds_total that `--json` prints for each image.
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

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("encode", "denoise", "decode", "total")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--prompt", default="a red heart")
    parser.add_argument("--size", default="128x128", metavar="WxH")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


class Diffusers:
    """The pipeline in this process; parts are told apart by wrapping the text encoder and the decoder."""

    def __init__(self, options):
        import torch
        from diffusers import WanPipeline

        torch.set_num_threads(options.threads)
        self.torch, self.options, self.seconds = torch, options, {}
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
        self.pipeline = WanPipeline.from_pretrained(options.model, dtype=dtype, local_files_only=True)
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.encode_prompt = self.timed("encode", self.pipeline.encode_prompt)
        self.pipeline.vae.decode = self.timed("decode", self.pipeline.vae.decode)

    def timed(self, part, function):
        def wrapped(*arguments, **keywords):
            start = time.perf_counter()
            result = function(*arguments, **keywords)
            self.seconds[part] = time.perf_counter() - start
            return result
        return wrapped

    def draw(self):
        """Seconds of each part for one batch."""
        options = self.options
        width, height = (int(side) for side in options.size.split("x"))
        generators = [self.torch.Generator("cpu").manual_seed(seed) for seed in range(options.batch)]
        start = time.perf_counter()
        self.pipeline(prompt=[options.prompt] * options.batch, negative_prompt=[""] * options.batch, width=width, height=height, num_frames=1,
                      num_inference_steps=options.steps, guidance_scale=options.guidance, generator=generators, output_type="np")
        total = time.perf_counter() - start
        return self.seconds | {"total": total, "denoise": total - self.seconds["encode"] - self.seconds["decode"]}


def draw_with_baton(options, folder):
    """Seconds of each part for the second of two batches."""
    command = [
        options.binary, "generate", options.prompt, "--model", options.model, "--out", f"{folder}/", "--size", options.size, "--steps", options.steps,
        "--guidance", options.guidance, "--count", 2 * options.batch, "--batch", options.batch, "--seed", 0, "--rng", "torch",
        "--dtype", options.dtype, "--device", "cpu", "--threads", options.threads, "--progress", "none", "--json",
    ]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{options.binary}: exit code {result.returncode}: {result.stderr.strip()[-500:]}")
    images = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    if len(images) != 2 * options.batch:
        sys.exit(f"{options.binary}: {len(images)} JSON objects on stdout, expected {2 * options.batch}")
    return {part: sum(image[f"seconds_{part}"] for image in images[options.batch:]) for part in PARTS}


def main():
    options = parse_arguments()
    if not options.binary.exists():
        sys.exit(f"{options.binary} is missing: build it, or name it with --binary")
    peer = Diffusers(options)
    peer.draw()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, options.rounds + 1):
            rounds.append((draw_with_baton(options, folder), peer.draw()))
            baton, diffusers = rounds[-1]
            print(f"round {number}: baton {baton['total']:.3f} s, diffusers {diffusers['total']:.3f} s", file=sys.stderr, flush=True)
    print(f"{options.model}  {options.size}  {options.steps} steps  guidance {options.guidance:g}  batch {options.batch}  {options.dtype}  "
          f"{options.threads} threads  {options.rounds} rounds")
    print(f"{'part':8} {'baton s':>9} {'diffusers s':>12}   diffusers / baton: min  median  max")
    for part in PARTS:
        ours, theirs = [one[part] for one, _ in rounds], [other[part] for _, other in rounds]
        ratios = [their / our if our > 0 else float("inf") for our, their in zip(ours, theirs)]
        print(f"{part:8} {statistics.median(ours):9.4f} {statistics.median(theirs):12.4f}   "
              f"{min(ratios):23.2f} {statistics.median(ratios):7.2f} {max(ratios):4.2f}")


if __name__ == "__main__":
    main()
