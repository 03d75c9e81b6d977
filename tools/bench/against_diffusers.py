#!/usr/bin/env python3
"""Times `baton generate` and diffusers on one pipeline directory, alternating in one run, and prints how many times faster Baton is.

usage: against_diffusers.py --model DIR [--one-expert] [--size 128x128] [--steps 24] [--guidance 4] [--batch 1] [--dtype f32|bf16] [--rounds 5]

Runs in an environment with diffusers (tools/golden/README.md names the packages); DIR has one or two experts, or --one-expert gives both programs the
directory with its noisiest expert alone. Both get the same prompt, steps, sampler, precision, text length and number of threads. Loading is not timed,
and both are warm: diffusers has drawn one batch before the first round, and Baton draws two batches in each round of which the second counts. Baton's
times are its own, from the keys seconds_encode, seconds_denoise and seconds_decode that `--json` prints for each picture, its share of the batch's
time; encoding, once for both batches, counts whole and includes loading the text encoder.
Exit code 1 if diffusers' time / Baton's is below the bar in the median: 1.5 in f32, 1 in bf16.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import ROOT, THREADS, need, run, verdict

need("torch", "diffusers")

PARTS = ("encode", "denoise", "decode", "total")
BARS = {"f32": 1.5, "bf16": 1.0}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--one-expert", action="store_true", help="compare on the noisiest expert alone, for every step")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--prompt", default="a red heart")
    parser.add_argument("--size", default="128x128", metavar="WxH")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def reduce_to_one_expert(model, folder):
    """Makes `folder` a pipeline directory of the first expert: links to the parts of `model`, and an index that names no other expert."""
    index = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    experts = [key for key in index if key.startswith("transformer_")]
    for name in [*experts, "boundary_ratios"]:
        index.pop(name, None)
    index |= {"transformer_2": [None, None], "boundary_ratio": None}
    for part in model.iterdir():
        if part.is_dir() and part.name not in experts:
            (folder / part.name).symlink_to(part.resolve())
    (folder / "model_index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")


def max_sequence_length(model):
    """Length of the padded text: a default of the model that Baton keeps in model_index.json and diffusers does not read."""
    index = json.loads((model / "model_index.json").read_text(encoding="utf-8"))
    return index.get("baton", {}).get("defaults", {}).get("max_sequence_length", 512)


class Diffusers:
    """The pipeline in this process; parts are told apart by wrapping the text encoder and the decoder."""

    def __init__(self, options):
        import torch
        from diffusers import WanPipeline

        torch.set_num_threads(options.threads)
        self.torch, self.options, self.seconds = torch, options, {}
        self.text_length = max_sequence_length(options.model)
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
                      num_inference_steps=options.steps, guidance_scale=options.guidance, generator=generators, output_type="np",
                      max_sequence_length=self.text_length)
        total = time.perf_counter() - start
        return self.seconds | {"total": total, "denoise": total - self.seconds["encode"] - self.seconds["decode"]}


def draw_with_baton(options, folder):
    """Seconds of each part for the second of two batches."""
    command = [
        options.binary, "generate", options.prompt, "--model", options.model, "--out", f"{folder}/", "--size", options.size, "--steps", options.steps,
        "--guidance", options.guidance, "--count", 2 * options.batch, "--batch", options.batch, "--seed", 0, "--rng", "torch",
        "--dtype", options.dtype, "--device", "cpu", "--threads", options.threads, "--progress", "none", "--json",
    ]
    images = [json.loads(line) for line in run(command).splitlines()]
    if len(images) != 2 * options.batch:
        sys.exit(f"{options.binary}: {len(images)} JSON objects on stdout, expected {2 * options.batch}")
    seconds = {part: sum(image[f"seconds_{part}"] for image in images[options.batch:]) for part in ("denoise", "decode")}
    seconds["encode"] = sum(image["seconds_encode"] for image in images)
    return seconds | {"total": sum(seconds.values())}


def measure(options, folder):
    """Seconds of each part, for each round (Baton's, diffusers')."""
    peer = Diffusers(options)
    peer.draw()
    rounds = []
    for number in range(1, options.rounds + 1):
        rounds.append((draw_with_baton(options, folder), peer.draw()))
        baton, diffusers = rounds[-1]
        print(f"round {number}: baton {baton['total']:.3f} s, diffusers {diffusers['total']:.3f} s", file=sys.stderr, flush=True)
    return rounds


def main():
    options = parse_arguments()
    name = f"{options.model}{' (one expert)' if options.one_expert else ''}"
    with tempfile.TemporaryDirectory() as model, tempfile.TemporaryDirectory() as pictures:
        if options.one_expert:
            reduce_to_one_expert(options.model, Path(model))
            options.model = Path(model)
        rounds = measure(options, pictures)
    print(f"{name}  {options.size}  {options.steps} steps  guidance {options.guidance:g}  batch {options.batch}  {options.dtype}  "
          f"{options.threads} threads  {options.rounds} rounds")
    print(f"{'part':8} {'baton s':>9} {'diffusers s':>12}   diffusers / baton: min  median  max")
    for part in PARTS:
        ours, theirs = [one[part] for one, _ in rounds], [other[part] for _, other in rounds]
        ratios = [their / our if our > 0 else float("inf") for our, their in zip(ours, theirs)]
        print(f"{part:8} {statistics.median(ours):9.4f} {statistics.median(theirs):12.4f}   "
              f"{min(ratios):23.2f} {statistics.median(ratios):7.2f} {max(ratios):4.2f}")
    # the last row is the whole
    return 0 if verdict(f"diffusers / baton, {options.dtype}", statistics.median(ratios), BARS[options.dtype]) else 1


if __name__ == "__main__":
    sys.exit(main())
