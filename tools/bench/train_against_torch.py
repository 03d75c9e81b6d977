#!/usr/bin/env python3
"""Times the training step of the shipped model's denoiser in `baton train` and in PyTorch, in alternating rounds of one run.

usage: train_against_torch.py [--batch 64] [--dtype auto|f32|bf16] [--compile] [--steps 4] [--rounds 5] [--data data/emoji]

A step: flow-matching loss of 64 latents of 16 x 16 x 16 (64 tokens; dim 256, 4 heads, 8 layers, feed-forward 1,024) with captions of at most 24 tokens
through a text encoder trained along (UMT5, 3 layers of 256), forward, backward, clipping, Muon for the blocks' matrices and AdamW for the rest.
PyTorch: diffusers' WanTransformer3DModel and transformers' UMT5EncoderModel under bf16 autocast, fused AdamW, torch.optim.Muon, clipping with foreach;
torch.optim.Muon orthogonalises in bf16 whatever the gradients are, which takes nearly all of the step where the processor has no bf16 products: with
--dtype f32 it does so in f32, as Baton does. --compile passes both models through torch.compile. Its batches are random numbers that are ready in memory; Baton reads, draws and tokenises its own,
from pictures encoded by an untrained autoencoder (the values do not change the time). Neither keeps averaged weights.
Each round is `steps` timed steps of each after as many that are not timed. Exit code 1 if PyTorch's time / Baton's is below 1.2 in the median.

Runs in an environment with diffusers (tools/golden/README.md names the packages).
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import ROOT, THREADS, best_dtype, need, run, spread, verdict

need("torch", "diffusers", "transformers")

BAR = 1.2
PICTURES = 64
LATENTS, TEXT_TOKENS, VOCABULARY = (16, 1, 16, 16), 24, 6000
LEARNING_RATE = {"muon": 1.5e-3, "adamw": 1e-3}


class Baton:
    """`baton train` on the sizes of configs/train/denoiser.yaml, one denoiser, in a folder of its own."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        (folder / "data").mkdir()
        lines = (options.data / "metadata.jsonl").read_text(encoding="utf-8").splitlines()[:PICTURES]
        for line in lines:
            name = json.loads(line)["file_name"]
            (folder / "data" / name).parent.mkdir(exist_ok=True)
            shutil.copy(options.data / name, folder / "data" / name)
        (folder / "data" / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        # 16 channels at an eighth of the size, as the shipped autoencoder, but thin
        self.train("vae", "vae", {"steps": 1, "batch": 1, "model.base_dim": 8, "validation.items": 1, "data.folder": folder / "data"})

    def train(self, config, name, settings):
        settings |= {"checkpoint.folder": self.folder / name, "checkpoint.minutes": 0, "validation.every": 0, "schedule.warmup": 0}
        run([self.options.binary, "train", "--config", ROOT / "configs" / "train" / f"{config}.yaml", "--threads", self.options.threads,
             "--progress", "none", "--set", *(f"{key}={value}" for key, value in settings.items())])

    def seconds_per_step(self):
        options, name = self.options, "denoiser"
        self.train("denoiser", name, {
            "steps": 2 * options.steps, "log_every": options.steps, "batch": options.batch, "dtype": options.dtype, "optimizer.ema": 0,
            "data.folder": self.folder / "data", "model.vae": self.folder / "vae" / "model", "model.tokenizer": options.data / "tokenizer",
            "experts.count": 1, "experts.boundaries": "[]", "experts.branch_at": 0, "validation.items": 1,
        })
        lines = (self.folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        for path in (self.folder / name).iterdir():  # the next round starts anew, with the same latents
            if path.name != "latents":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return options.batch / json.loads(lines[-1])["samples_per_second"]


def orthogonalize(gradient, coefficients, steps, eps):
    """The Newton-Schulz iteration of torch.optim.Muon (Jordan et al., 2024) in the type of the gradient."""
    a, b, c = coefficients
    tall = gradient.size(0) > gradient.size(1)
    x = gradient.T if tall else gradient
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Torch:
    def __init__(self, options):
        import torch
        from diffusers import WanTransformer3DModel
        from transformers import UMT5Config, UMT5EncoderModel

        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        self.torch, self.options = torch, options
        self.denoiser = WanTransformer3DModel(num_attention_heads=4, attention_head_dim=64, in_channels=16, out_channels=16, text_dim=256,
                                              freq_dim=256, ffn_dim=1024, num_layers=8).train()
        self.text = UMT5EncoderModel(UMT5Config(vocab_size=VOCABULARY, d_model=256, d_kv=64, num_heads=4, d_ff=1024, num_layers=3,
                                                dropout_rate=0.0, feed_forward_proj="gated-gelu")).train()
        self.optimizers = self.make_optimizers()
        self.run_denoiser, self.run_text = self.denoiser, self.text
        if options.compile:
            self.run_denoiser, self.run_text = torch.compile(self.denoiser), torch.compile(self.text)

    def make_optimizers(self):
        matrices, rest = [], []
        for model in (self.text, self.denoiser):
            for name, parameter in model.named_parameters():
                in_block = name.startswith("blocks.") or ".block." in name
                is_matrix = in_block and parameter.ndim == 2 and "relative_attention_bias" not in name
                (matrices if is_matrix else rest).append(parameter)
        optim = self.torch.optim
        if self.options.dtype == "f32":
            optim._muon._zeropower_via_newtonschulz = orthogonalize
        return [optim.Muon(matrices, lr=LEARNING_RATE["muon"], momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
                optim.AdamW(rest, lr=LEARNING_RATE["adamw"], betas=(0.9, 0.98), weight_decay=0.01, fused=True)]

    def step(self):
        torch, batch = self.torch, self.options.batch
        image, noise = torch.randn(batch, *LATENTS), torch.randn(batch, *LATENTS)
        time_level = torch.sigmoid(torch.randn(batch))
        ids, mask = torch.randint(3, VOCABULARY, (batch, TEXT_TOKENS)), torch.ones(batch, TEXT_TOKENS, dtype=torch.long)
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.dtype == "bf16"):
            states = self.run_text(input_ids=ids, attention_mask=mask).last_hidden_state
            t = time_level.view(-1, 1, 1, 1, 1)
            predicted = self.run_denoiser((1 - t) * image + t * noise, 1000 * time_level, states, return_dict=False)[0]
        loss = ((predicted.float() - (noise - image)) ** 2).mean()
        loss.backward()
        for model in (self.text, self.denoiser):
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start

    def seconds_per_step(self):
        seconds = [self.step() for _ in range(2 * self.options.steps)]
        return statistics.mean(seconds[self.options.steps:])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "baton")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "emoji")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--dtype", choices=("auto", "f32", "bf16"), default="auto", help="auto: bf16 where the processor multiplies it")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.dtype == "auto":
        options.dtype = best_dtype()
    return options


def main():
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        baton, peer = Baton(options, Path(folder)), Torch(options)
        rounds = []
        for number in range(1, options.rounds + 1):
            rounds.append((baton.seconds_per_step(), peer.seconds_per_step()))
            print(f"round {number}: baton {rounds[-1][0]:.3f} s, torch {rounds[-1][1]:.3f} s", file=sys.stderr, flush=True)
    ours, theirs = zip(*rounds)
    ratios = [their / our for our, their in rounds]
    print(f"training step  {options.batch} samples  {options.dtype}  {options.threads} threads  {options.rounds} rounds of {options.steps} steps"
          f"{'  torch.compile' if options.compile else ''}")
    print(f"{'':16} min / median / max")
    print(f"{'baton, s':16} {spread(ours)}   {options.batch / statistics.median(ours):.0f} samples/s")
    print(f"{'torch, s':16} {spread(theirs)}   {options.batch / statistics.median(theirs):.0f} samples/s")
    print(f"{'torch / baton':16} {spread(ratios, 2)}")
    return 0 if verdict("torch / baton", statistics.median(ratios), BAR) else 1


if __name__ == "__main__":
    sys.exit(main())
