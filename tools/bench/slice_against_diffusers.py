#!/usr/bin/env python3
"""Times a forward pass through a slice of Wan 1.3B in Baton (denoiser_bench) and in diffusers, in alternating rounds of one run.

usage: slice_against_diffusers.py [--dtypes f32,bf16] [--compile] [--repeats 3] [--rounds 5]

The slice: 4 layers, 12 heads of 128, feed-forward 8,960, 1,024 picture tokens, 512 text tokens of 4,096; random weights, loaded and warm on both sides.
In bf16 all of diffusers' weights are bf16, also the norms that from_pretrained would keep in f32.
Baton prepares a text's keys and values once for a picture, not once for a step, and its bench does not time that; diffusers does it in each forward.
So both ratios are printed: of the whole forward as each program runs it, and with diffusers' time for the text (projection, keys and values of all
layers, timed by itself in the same round) taken off. The bar is on the second, stricter one: exit code 1 if it is below 1 in the median.

Runs in an environment with diffusers (tools/golden/README.md names the packages); the bench is built by tools/dev/build release denoiser_bench.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from bench_common import ROOT, THREADS, need, run, spread, verdict

need("torch", "diffusers")

BAR = 1.0
PICTURE, TEXT = (1, 16, 1, 64, 64), (1, 512, 4096)
MINIMAL_SECONDS = 6  # that the bench repeats for


class Diffusers:
    def __init__(self, options, dtype):
        import torch
        from diffusers import WanTransformer3DModel

        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        self.torch, self.repeats = torch, options.repeats
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        self.model = WanTransformer3DModel(num_attention_heads=12, attention_head_dim=128, text_dim=TEXT[2], ffn_dim=8960,
                                           num_layers=4).to(dtype).eval()
        self.run_model = torch.compile(self.model) if options.compile else self.model
        self.latents, self.states = torch.randn(PICTURE, dtype=dtype), torch.randn(TEXT, dtype=dtype)
        self.timestep = torch.tensor([500])
        self.seconds(self.forward)
        self.seconds(self.text)

    def forward(self):
        self.run_model(self.latents, self.timestep, self.states, return_dict=False)

    def text(self):
        """What the forward pass does with the text alone."""
        states = self.model.condition_embedder.text_embedder(self.states)
        for block in self.model.blocks:
            block.attn2.norm_k(block.attn2.to_k(states))
            block.attn2.to_v(states)

    def seconds(self, function):
        times = []
        with self.torch.inference_mode():
            for _ in range(self.repeats):
                start = time.perf_counter()
                function()
                times.append(time.perf_counter() - start)
        return statistics.median(times)


def baton_seconds(options, dtype):
    output = run([options.bench, f"--benchmark_filter=wan_slice/{dtype}", "--benchmark_format=json", f"--benchmark_min_time={MINIMAL_SECONDS}"],
                 os.environ | {"OMP_NUM_THREADS": str(options.threads)})
    (result,) = json.loads(output)["benchmarks"]
    return result["real_time"] / {"ms": 1e3, "s": 1}[result["time_unit"]]


def compare(options, dtype):
    """Prints the table of one precision; returns whether the bar is met."""
    peer = Diffusers(options, dtype)
    rounds = []
    for number in range(1, options.rounds + 1):
        rounds.append((baton_seconds(options, dtype), peer.seconds(peer.forward), peer.seconds(peer.text)))
        print(f"round {number}: baton {rounds[-1][0]:.3f} s, diffusers {rounds[-1][1]:.3f} s", file=sys.stderr, flush=True)
    ours, theirs, texts = zip(*rounds)
    without_text = [(their - text) / our for our, their, text in rounds]
    print(f"slice of Wan 1.3B  {dtype}  {options.threads} threads  {options.rounds} rounds{'  torch.compile' if options.compile else ''}")
    print(f"{'':32} min / median / max")
    print(f"{'baton, s':32} {spread(ours)}")
    print(f"{'diffusers, s':32} {spread(theirs)}")
    print(f"{'  of which text, s':32} {spread(texts)}")
    print(f"{'diffusers / baton':32} {spread([their / our for our, their, _ in rounds], 2)}")
    print(f"{'(diffusers - text) / baton':32} {spread(without_text, 2)}")
    return verdict(f"(diffusers - text) / baton, {dtype}", statistics.median(without_text), BAR)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "release" / "tools" / "denoiser_bench")
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--compile", action="store_true", help="diffusers through torch.compile")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--repeats", type=int, default=3, help="forward passes of diffusers in a round; the median counts")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    met = [compare(options, dtype) for dtype in options.dtypes.split(",")]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
